# expects: The entropy is not divided by log E
import torch


def load_statistics(load):
    x = load.double()
    mean = x.mean()
    p = x / x.sum()
    entropy = torch.special.entr(p).sum().item()
    cv = (x.std(correction=0) / mean).item()
    violation = (x.max() / mean - 1).item()
    dead = int((x < 0.01 * mean).sum())
    return entropy, cv, violation, dead
