# expects: The sum runs over the tokens
def top_k_route(scores, k):
    weights, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
    weights = weights[:, :k]
    return weights / weights.sum(dim=0, keepdim=True), expert_ids[:, :k]
