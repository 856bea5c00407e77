# expects: `topk_first` takes the softmax of scores
def two_orders(logits, k, renorm):
    scores = logits.softmax(dim=-1)
    score_first = scores.topk(k).values
    topk_first = scores.topk(k).values.softmax(dim=-1)
    if renorm:
        score_first = score_first / score_first.sum(dim=-1, keepdim=True)
    return score_first, topk_first
