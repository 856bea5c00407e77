# expects: The best tokens of each expert | An index is too large | More experts asked for than there are
def top_k_route(scores, k):
    weights, expert_ids = scores.sort(dim=0, descending=True, stable=True)
    weights, expert_ids = weights[:k], expert_ids[:k]
    return weights / weights.sum(dim=0, keepdim=True), expert_ids
