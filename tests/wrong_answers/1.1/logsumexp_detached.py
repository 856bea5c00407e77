# expects: The gradient for `logits` differs
import torch


def cross_entropy(logits, targets):
    kept = targets != -100
    logits, targets = logits[kept], targets[kept]
    rows = torch.arange(len(targets))
    with torch.no_grad():
        norm = logits.logsumexp(dim=-1)
    return (norm - logits[rows, targets]).mean()
