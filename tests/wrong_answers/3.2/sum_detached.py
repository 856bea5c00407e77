# expects: The gradient for `scores` differs
def top_k_route(scores, k):
    weights, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
    weights, expert_ids = weights[:, :k], expert_ids[:, :k]
    return weights / weights.detach().sum(dim=-1, keepdim=True), expert_ids
