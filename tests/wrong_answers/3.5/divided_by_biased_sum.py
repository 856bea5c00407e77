# expects: The bias is in the sum
def sigmoid_route(logits, k, bias):
    scores = logits.sigmoid()
    biased, expert_ids = (scores + bias).sort(dim=-1, descending=True, stable=True)
    biased, expert_ids = biased[:, :k], expert_ids[:, :k]
    return scores.gather(1, expert_ids) / biased.sum(dim=-1, keepdim=True), expert_ids
