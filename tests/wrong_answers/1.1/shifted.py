# expects: Targets are shifted by one
import torch


def cross_entropy(logits, targets):
    logits, targets = logits[:-1], targets[1:]
    kept = targets != -100
    logits, targets = logits[kept], targets[kept]
    rows = torch.arange(len(targets))
    return -logits.log_softmax(-1)[rows, targets].mean()
