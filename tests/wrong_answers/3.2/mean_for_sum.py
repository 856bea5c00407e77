# expects: *
def top_k_route(scores, k):
    weights, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
    weights = weights[:, :k]
    return weights / weights.mean(dim=-1, keepdim=True), expert_ids[:, :k]
