def expert_choice(scores, capacity):
    ids = scores.argsort(dim=0, descending=True, stable=True)[:capacity].t()
    return scores.t().gather(1, ids), ids
