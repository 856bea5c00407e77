# expects: `weights` and `expert_ids` have changed places
def top_k_route(scores, k):
    weights, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
    weights, expert_ids = weights[:, :k], expert_ids[:, :k]
    return expert_ids, weights / weights.sum(dim=-1, keepdim=True)
