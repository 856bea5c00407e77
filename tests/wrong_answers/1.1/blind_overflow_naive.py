# expects: `exp` overflows | *
import torch


def cross_entropy(logits, targets):
    m = targets != -100
    p = logits.exp() / logits.exp().sum(-1, keepdim=True)
    p = p[m]
    return -p[torch.arange(len(p)), targets[m]].log().mean()
