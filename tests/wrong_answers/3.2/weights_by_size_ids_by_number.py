# expects: Weights and experts do not belong together
def top_k_route(scores, k):
    weights, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
    weights, expert_ids = weights[:, :k], expert_ids[:, :k].sort(dim=-1).values
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids
