# expects: All N tokens come back
def expert_choice(scores, capacity):
    kept, ids = scores.t().sort(dim=1, descending=True, stable=True)
    return kept, ids
