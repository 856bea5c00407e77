# expects: Reshaped, not transposed
def expert_choice(scores, capacity):
    n, e = scores.shape
    values, ids = scores.reshape(e, n).sort(dim=1, descending=True, stable=True)
    return values[:, :capacity], ids[:, :capacity]
