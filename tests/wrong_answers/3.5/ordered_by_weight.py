# expects: Ordered by weight
def sigmoid_route(logits, k, bias):
    scores = logits.sigmoid()
    expert_ids = (scores + bias).argsort(dim=-1, descending=True, stable=True)[:, :k]
    weights, order = scores.gather(1, expert_ids).sort(dim=-1, descending=True, stable=True)
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids.gather(1, order)
