# expects: The weights are not renormalised
def sigmoid_route(logits, k, bias):
    scores = logits.sigmoid()
    expert_ids = (scores + bias).argsort(dim=-1, descending=True, stable=True)[:, :k]
    return scores.gather(1, expert_ids), expert_ids
