# expects: Targets are shifted by one | *
import torch


def cross_entropy(logits, targets):
    l, t = logits[:-1], targets[1:]
    m = t != -100
    lp = l[m].log_softmax(-1)
    return -lp[torch.arange(len(lp)), t[m]].mean()
