# expects: The weights are not renormalised
def top_k_route(scores, k):
    weights, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
    return weights[:, :k], expert_ids[:, :k]
