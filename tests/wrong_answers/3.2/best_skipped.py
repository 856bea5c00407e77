# expects: The best expert is skipped
def top_k_route(scores, k):
    weights, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
    weights, expert_ids = weights[:, 1 : k + 1], expert_ids[:, 1 : k + 1]
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids
