# expects: Softmax over the positions | *
import torch


def cross_entropy(logits, targets):
    m = targets != -100
    lp = logits[m].log_softmax(0)
    return -lp[torch.arange(len(lp)), targets[m]].mean()
