# expects: Wrong shape
def top_k_route(scores, k):
    weights, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
    weights, expert_ids = weights[:4, :2], expert_ids[:4, :2]
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids
