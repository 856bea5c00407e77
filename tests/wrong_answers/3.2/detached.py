# expects: No gradient reaches `scores`
def top_k_route(scores, k):
    weights, expert_ids = scores.detach().sort(dim=-1, descending=True, stable=True)
    weights, expert_ids = weights[:, :k], expert_ids[:, :k]
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids
