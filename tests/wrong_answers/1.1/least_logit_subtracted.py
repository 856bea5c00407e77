# expects: `exp` overflows
import torch


def cross_entropy(logits, targets):
    kept = targets != -100
    logits, targets = logits[kept], targets[kept]
    rows = torch.arange(len(targets))
    low = logits - logits.amin(dim=-1, keepdim=True)
    return (low.exp().sum(dim=-1).log() - low[rows, targets]).mean()
