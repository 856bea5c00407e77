# expects: Weights and tokens do not belong together
def expert_choice(scores, capacity):
    kept, ids = scores.t().sort(dim=1, descending=True, stable=True)
    return kept[:, :capacity].flip(1), ids[:, :capacity]
