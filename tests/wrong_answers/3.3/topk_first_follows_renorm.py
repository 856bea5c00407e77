# expects: `renorm` belongs to `score_first` only
def two_orders(logits, k, renorm):
    scores = logits.softmax(dim=-1).topk(k).values
    if renorm:
        scores = scores / scores.sum(dim=-1, keepdim=True)
    return scores, scores
