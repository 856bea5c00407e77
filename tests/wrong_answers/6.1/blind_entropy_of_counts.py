# expects: The entropy of counts, not of shares
import math

import torch


def load_statistics(load):
    x = load.double()
    mean = x.mean()
    entropy = (torch.special.entr(x).sum() / math.log(x.numel())).item()
    cv = (x.std(correction=0) / mean).item()
    violation = (x.max() / mean - 1).item()
    dead = int((x < 0.01 * mean).sum())
    return entropy, cv, violation, dead
