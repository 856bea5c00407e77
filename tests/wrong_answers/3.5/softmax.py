# expects: Softmax, not sigmoid
def sigmoid_route(logits, k, bias):
    scores = logits.softmax(dim=-1)
    expert_ids = (scores + bias).argsort(dim=-1, descending=True, stable=True)[:, :k]
    weights = scores.gather(1, expert_ids)
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids
