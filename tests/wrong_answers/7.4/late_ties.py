# expects: Ties are broken the wrong way
def expert_choice(scores, capacity):
    n = len(scores)
    kept, ids = scores.t().flip(1).sort(dim=1, descending=True, stable=True)
    return kept[:, :capacity], (n - 1 - ids)[:, :capacity]
