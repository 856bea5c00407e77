# expects: The logit was added, not taken away
import torch


def cross_entropy(logits, targets):
    kept = targets != -100
    logits, targets = logits[kept], targets[kept]
    rows = torch.arange(len(targets))
    return (logits.logsumexp(dim=-1) + logits[rows, targets]).mean()
