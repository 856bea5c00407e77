# expects: `exp` overflows
import torch


def cross_entropy(logits, targets):
    kept = targets != -100
    logits, targets = logits[kept], targets[kept]
    rows = torch.arange(len(targets))
    up = logits + logits.amax(dim=-1, keepdim=True)
    return (up.exp().sum(dim=-1).log() - up[rows, targets]).mean()
