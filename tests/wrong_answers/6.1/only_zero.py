# expects: Only those with nothing at all
import math

import torch


def load_statistics(load):
    x = load.double()
    p = x / x.sum()
    entropy = torch.special.entr(p).sum() / math.log(len(x))
    cv = x.std(correction=0) / x.mean()
    violation = x.max() / x.mean() - 1
    dead = (x == 0).sum()
    return float(entropy), float(cv), float(violation), int(dead)
