# expects: The tokens chose
def expert_choice(scores, capacity):
    kept, ids = scores.sort(dim=1, descending=True, stable=True)
    return kept[:, :capacity], ids[:, :capacity]
