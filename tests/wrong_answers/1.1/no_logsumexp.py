# expects: The log-sum-exp is missing
import torch


def cross_entropy(logits, targets):
    kept = targets != -100
    logits, targets = logits[kept], targets[kept]
    rows = torch.arange(len(targets))
    return -logits[rows, targets].mean()
