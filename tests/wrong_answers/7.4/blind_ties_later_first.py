# expects: Ties are broken the wrong way
def expert_choice(scores, capacity):
    values, ids = scores.t().sort(dim=1, stable=True)
    values = values.flip(1)
    ids = ids.flip(1)
    return values[:, :capacity], ids[:, :capacity]
