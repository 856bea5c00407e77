# expects: The smallest scores are taken
def expert_choice(scores, capacity):
    kept, ids = scores.t().sort(dim=1, descending=False, stable=True)
    return kept[:, :capacity], ids[:, :capacity]
