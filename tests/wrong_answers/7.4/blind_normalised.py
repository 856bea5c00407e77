# expects: Divided by its sum
def expert_choice(scores, capacity):
    values, ids = scores.t().sort(dim=1, descending=True, stable=True)
    weights = values[:, :capacity]
    weights = weights / weights.sum(dim=1, keepdim=True)
    return weights, ids[:, :capacity]
