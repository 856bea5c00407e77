# expects: `weights` and `token_ids` have changed places
def expert_choice(scores, capacity):
    kept, ids = scores.t().sort(dim=1, descending=True, stable=True)
    return ids[:, :capacity], kept[:, :capacity]
