# expects: In the order of the text
def expert_choice(scores, capacity):
    ids = scores.t().sort(dim=1, descending=True, stable=True).indices[:, :capacity].sort(dim=1).values
    return scores.t().gather(1, ids), ids
