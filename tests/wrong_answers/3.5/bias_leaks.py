# expects: The bias leaks into the weights
def sigmoid_route(logits, k, bias):
    scores = logits.sigmoid() + bias
    weights, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
    weights = weights[:, :k]
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids[:, :k]
