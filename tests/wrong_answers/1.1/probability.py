# expects: The logarithm is missing
import torch


def cross_entropy(logits, targets):
    kept = targets != -100
    logits, targets = logits[kept], targets[kept]
    rows = torch.arange(len(targets))
    return logits.softmax(dim=-1)[rows, targets].mean()
