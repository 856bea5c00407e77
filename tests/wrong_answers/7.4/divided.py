# expects: Divided by its sum
def expert_choice(scores, capacity):
    kept, ids = scores.t().sort(dim=1, descending=True, stable=True)
    return kept[:, :capacity] / kept[:, :capacity].sum(dim=1, keepdim=True), ids[:, :capacity]
