# expects: CV squared
import math

import torch


def load_statistics(load):
    x = load.double()
    p = x / x.sum()
    entropy = torch.special.entr(p).sum() / math.log(len(x))
    cv = x.var(correction=0) / x.mean() ** 2
    violation = x.max() / x.mean() - 1
    dead = (x < 0.01 * x.mean()).sum()
    return float(entropy), float(cv), float(violation), int(dead)
