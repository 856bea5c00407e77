# expects: Two shapes do not fit
def top_k_route(scores, k):
    weights, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
    weights = weights[:, :k]
    return weights / weights.sum(-1), expert_ids[:, :k]
