# expects: Softmax over what was taken
def expert_choice(scores, capacity):
    kept, ids = scores.t().sort(dim=1, descending=True, stable=True)
    return kept[:, :capacity].softmax(dim=1), ids[:, :capacity]
