# expects: Sigmoid, not softmax
import torch
import torch.nn.functional as F


def cross_entropy(logits, targets):
    kept = targets != -100
    logits, targets = logits[kept], targets[kept]
    rows = torch.arange(len(targets))
    return -F.logsigmoid(logits[rows, targets]).mean()
