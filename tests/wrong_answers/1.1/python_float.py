# expects: Not a tensor
def cross_entropy(logits, targets):
    total, n = 0.0, 0
    for row, target in zip(logits, targets, strict=True):
        if target != -100:
            total += (row.logsumexp(0) - row[target]).item()
            n += 1
    return total / n
