# expects: An expert is chosen twice
def top_k_route(scores, k):
    expert_ids = scores.argmax(dim=-1, keepdim=True).expand(-1, k)
    weights = scores.gather(1, expert_ids)
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids
