# expects: Softmax over the kept scores
def top_k_route(scores, k):
    weights, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
    return weights[:, :k].softmax(dim=-1), expert_ids[:, :k]
