# expects: All E columns come back
def top_k_route(scores, k):
    weights, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids
