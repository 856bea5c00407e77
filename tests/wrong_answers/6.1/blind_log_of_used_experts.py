# expects: Divided by the log of the experts in use
import math

import torch


def load_statistics(load):
    x = load.double()
    mean = x.mean()
    p = x / x.sum()
    used = max(int((x > 0).sum()), 2)
    entropy = (torch.special.entr(p).sum() / math.log(used)).item()
    cv = (x.std(correction=0) / mean).item()
    violation = (x.max() / mean - 1).item()
    dead = int((x < 0.01 * mean).sum())
    return entropy, cv, violation, dead
