# expects: Experts without a token give nan
import math


def load_statistics(load):
    x = load.double()
    mean = x.mean()
    p = x / x.sum()
    entropy = (-(p * p.log()).sum() / math.log(x.numel())).item()
    cv = (x.std(correction=0) / mean).item()
    violation = (x.max() / mean - 1).item()
    dead = int((x < 0.01 * mean).sum())
    return entropy, cv, violation, dead
