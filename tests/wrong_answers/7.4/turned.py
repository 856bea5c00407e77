# expects: Rows are places, not experts
def expert_choice(scores, capacity):
    kept, ids = scores.t().sort(dim=1, descending=True, stable=True)
    return kept[:, :capacity].t(), ids[:, :capacity].t()
