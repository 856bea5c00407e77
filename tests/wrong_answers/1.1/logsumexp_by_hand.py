# expects: `exp` overflows
import torch


def cross_entropy(logits, targets):
    kept = targets != -100
    logits, targets = logits[kept], targets[kept]
    rows = torch.arange(len(targets))
    return (logits.exp().sum(dim=-1).log() - logits[rows, targets]).mean()
