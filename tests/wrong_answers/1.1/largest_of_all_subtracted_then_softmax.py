# expects: The logarithm of 0
import torch


def cross_entropy(logits, targets):
    kept = targets != -100
    logits, targets = logits[kept], targets[kept]
    rows = torch.arange(len(targets))
    powers = (logits - logits.max()).exp()
    p = powers / powers.sum(dim=-1, keepdim=True)
    return -p[rows, targets].log().mean()
