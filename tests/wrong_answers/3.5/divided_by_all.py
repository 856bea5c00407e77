# expects: Divided by the sum over all experts
def sigmoid_route(logits, k, bias):
    scores = logits.sigmoid()
    expert_ids = (scores + bias).argsort(dim=-1, descending=True, stable=True)[:, :k]
    return scores.gather(1, expert_ids) / scores.sum(dim=-1, keepdim=True), expert_ids
