import torch.nn.functional as F


def cross_entropy(logits, targets):
    counted = (targets != -100).to(logits.dtype)  # (N,)
    one_hot = F.one_hot(targets.clamp(min=0), logits.shape[1])  # (N, V)
    costs = -(logits.log_softmax(dim=-1) * one_hot).sum(dim=-1)  # (N,)
    return (costs * counted).sum() / counted.sum()
