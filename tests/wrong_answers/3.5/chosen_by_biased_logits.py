# expects: The bias is added before the sigmoid
def sigmoid_route(logits, k, bias):
    expert_ids = (logits + bias).argsort(dim=-1, descending=True, stable=True)[:, :k]
    weights = logits.sigmoid().gather(1, expert_ids)
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids
