# expects: Softmax over the kept scores
def sigmoid_route(logits, k, bias):
    scores = logits.sigmoid()
    expert_ids = (scores + bias).argsort(dim=-1, descending=True, stable=True)[:, :k]
    return scores.gather(1, expert_ids).softmax(dim=-1), expert_ids
