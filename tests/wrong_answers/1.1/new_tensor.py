# expects: No gradient reaches `logits`
import torch


def cross_entropy(logits, targets):
    costs = [(row.logsumexp(0) - row[t]).item() for row, t in zip(logits, targets, strict=True) if t != -100]
    return torch.tensor(sum(costs) / len(costs))
