# expects: *
def top_k_route(scores, k):
    weights, expert_ids = scores.half().sort(dim=-1, descending=True, stable=True)
    weights = weights[:, :k]
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids[:, :k]
