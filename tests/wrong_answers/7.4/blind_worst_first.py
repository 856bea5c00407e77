# expects: The smallest scores are taken
def expert_choice(scores, capacity):
    values, ids = scores.t().sort(dim=1, stable=True)
    return values[:, :capacity], ids[:, :capacity]
