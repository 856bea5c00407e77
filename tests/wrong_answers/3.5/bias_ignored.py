# expects: The bias is ignored
def sigmoid_route(logits, k, bias):
    weights, expert_ids = logits.sigmoid().sort(dim=-1, descending=True, stable=True)
    weights = weights[:, :k]
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids[:, :k]
