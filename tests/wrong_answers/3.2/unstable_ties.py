# expects: Ties are broken the wrong way
def top_k_route(scores, k):
    weights, expert_ids = scores.topk(k, dim=-1)
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids
