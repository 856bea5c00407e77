# expects: The order is worst first
def two_orders(logits, k, renorm):
    kept = logits.sort(dim=-1).values[:, -k:]
    score_first = logits.softmax(dim=-1).sort(dim=-1).values[:, -k:]
    if renorm:
        score_first = score_first / score_first.sum(dim=-1, keepdim=True)
    return score_first, kept.softmax(dim=-1)
