# expects: No gradient reaches `scores`
def expert_choice(scores, capacity):
    kept, ids = scores.t().sort(dim=1, descending=True, stable=True)
    return kept[:, :capacity].detach(), ids[:, :capacity]
