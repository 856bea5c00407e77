# expects: No gradient reaches `scores`
def expert_choice(scores, capacity):
    values, ids = scores.detach().t().sort(dim=1, descending=True, stable=True)
    return values[:, :capacity], ids[:, :capacity]
