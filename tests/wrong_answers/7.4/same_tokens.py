# expects: The same tokens for all experts
def expert_choice(scores, capacity):
    ids = scores.sum(dim=1).sort(descending=True, stable=True).indices[:capacity].expand(scores.shape[1], -1)
    return scores.t().gather(1, ids), ids
