# expects: `loss` is not right yet | *
import torch


def cross_entropy(logits, targets):
    m = targets != -100
    p = logits.softmax(-1)[m]
    return -(p[torch.arange(len(p)), targets[m]] + 1e-6).log().mean()
