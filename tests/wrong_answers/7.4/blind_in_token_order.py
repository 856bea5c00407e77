# expects: In the order of the text
def expert_choice(scores, capacity):
    ids = scores.t().argsort(dim=1, descending=True, stable=True)[:, :capacity]
    ids = ids.sort(dim=1).values
    weights = scores.t().gather(1, ids)
    return weights, ids
