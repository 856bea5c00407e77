# expects: Divided by the sum over all experts
def top_k_route(scores, k):
    scores = scores / scores.sum(dim=-1, keepdim=True)
    weights, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
    return weights[:, :k], expert_ids[:, :k]
