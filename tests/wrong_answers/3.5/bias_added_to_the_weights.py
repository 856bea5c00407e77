# expects: The bias leaks into the weights
def sigmoid_route(logits, k, bias):
    scores = logits.sigmoid()
    expert_ids = (scores + bias).argsort(dim=-1, descending=True, stable=True)[:, :k]
    weights = scores.gather(1, expert_ids)
    return weights / weights.sum(dim=-1, keepdim=True) + bias[expert_ids], expert_ids
