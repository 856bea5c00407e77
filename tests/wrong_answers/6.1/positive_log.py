# expects: The sign is missing
import math


def load_statistics(load):
    x = load.double()
    p = x / x.sum()
    entropy = (p.clamp(min=1e-300) * p.clamp(min=1e-300).log()).sum() / math.log(len(x))
    cv = x.std(correction=0) / x.mean()
    violation = x.max() / x.mean() - 1
    dead = (x < 0.01 * x.mean()).sum()
    return float(entropy), float(cv), float(violation), int(dead)
