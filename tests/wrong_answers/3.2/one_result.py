# expects: Wrong number of results
def top_k_route(scores, k):
    weights = scores.sort(dim=-1, descending=True, stable=True).values[:, :k]
    return weights / weights.sum(dim=-1, keepdim=True)
