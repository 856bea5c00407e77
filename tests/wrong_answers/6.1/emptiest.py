# expects: The emptiest, not the fullest
import math

import torch


def load_statistics(load):
    x = load.double()
    p = x / x.sum()
    entropy = torch.special.entr(p).sum() / math.log(len(x))
    cv = x.std(correction=0) / x.mean()
    violation = 1 - x.min() / x.mean()
    dead = (x < 0.01 * x.mean()).sum()
    return float(entropy), float(cv), float(violation), int(dead)
