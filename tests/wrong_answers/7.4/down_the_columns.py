# expects: Rows are places, not experts
def expert_choice(scores, capacity):
    kept, ids = scores.sort(dim=0, descending=True, stable=True)
    return kept[:capacity], ids[:capacity]
