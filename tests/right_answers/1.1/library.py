import torch.nn.functional as F


def cross_entropy(logits, targets):
    return F.cross_entropy(logits, targets, ignore_index=-100)
