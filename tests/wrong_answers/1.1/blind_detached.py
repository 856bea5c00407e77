# expects: No gradient reaches `logits` | *
import torch


def cross_entropy(logits, targets):
    m = targets != -100
    lp = logits.detach()[m].log_softmax(-1)
    return -lp[torch.arange(len(lp)), targets[m]].mean()
