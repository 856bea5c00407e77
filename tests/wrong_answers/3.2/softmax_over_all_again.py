# expects: Softmax over all scores again
def top_k_route(scores, k):
    weights, expert_ids = scores.softmax(dim=-1).sort(dim=-1, descending=True, stable=True)
    return weights[:, :k], expert_ids[:, :k]
