# expects: A number in brackets | *
import torch


def cross_entropy(logits, targets):
    m = targets != -100
    lp = logits[m].log_softmax(-1)
    return -lp[torch.arange(len(lp)), targets[m]].mean(0, keepdim=True)
