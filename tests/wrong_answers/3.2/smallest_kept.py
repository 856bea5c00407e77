# expects: The smallest scores are kept
def top_k_route(scores, k):
    weights, expert_ids = scores.sort(dim=-1, stable=True)
    weights = weights[:, :k]
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids[:, :k]
