# expects: Softmax again
def expert_choice(scores, capacity):
    kept, ids = scores.softmax(dim=1).t().sort(dim=1, descending=True, stable=True)
    return kept[:, :capacity], ids[:, :capacity]
