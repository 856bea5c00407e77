# expects: Ties are broken the wrong way
def top_k_route(scores, k):
    weights, expert_ids = scores.sort(dim=-1, stable=True)
    weights, expert_ids = weights.flip(-1)[:, :k], expert_ids.flip(-1)[:, :k]
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids
