# expects: The order is by expert number
def top_k_route(scores, k):
    expert_ids = scores.argsort(dim=-1, descending=True, stable=True)[:, :k].sort(dim=-1).values
    weights = scores.gather(1, expert_ids)
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids
