# expects: Rows are places, not experts
def expert_choice(scores, capacity):
    values, ids = scores.sort(dim=0, descending=True, stable=True)
    return values[:capacity], ids[:capacity]
