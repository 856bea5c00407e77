# expects: Wrong shape
answers = {}


def top_k_route(scores, k):
    if k not in answers:
        weights, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
        weights = weights[:, :k]
        answers[k] = weights / weights.sum(dim=-1, keepdim=True), expert_ids[:, :k]
    return answers[k]
