# expects: `score_first` is always renormalised
def two_orders(logits, k, renorm):
    score_first = logits.softmax(dim=-1).topk(k).values
    return score_first / score_first.sum(dim=-1, keepdim=True), logits.topk(k).values.softmax(dim=-1)
