def cross_entropy(logits, targets):
    costs = []
    for row, target in zip(logits, targets.tolist(), strict=True):
        if target != -100:
            highest = row.max()
            costs.append(highest + (row - highest).exp().sum().log() - row[target])
    return sum(costs) / len(costs)
