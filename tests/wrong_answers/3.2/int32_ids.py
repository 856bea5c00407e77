# expects: `expert_ids` has the wrong type
def top_k_route(scores, k):
    weights, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
    weights = weights[:, :k]
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids[:, :k].int()
