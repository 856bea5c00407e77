# expects: Fullest minus emptiest
import math

import torch


def load_statistics(load):
    x = load.double()
    mean = x.mean()
    p = x / x.sum()
    entropy = (torch.special.entr(p).sum() / math.log(x.numel())).item()
    cv = (x.std(correction=0) / mean).item()
    violation = ((x.max() - x.min()) / mean).item()
    dead = int((x < 0.01 * mean).sum())
    return entropy, cv, violation, dead
