# expects: A hundredth of all, not of the mean
import math

import torch


def load_statistics(load):
    x = load.double()
    mean = x.mean()
    p = x / x.sum()
    entropy = (torch.special.entr(p).sum() / math.log(x.numel())).item()
    cv = (x.std(correction=0) / mean).item()
    violation = (x.max() / mean - 1).item()
    dead = int((p < 0.01).sum())
    return entropy, cv, violation, dead
