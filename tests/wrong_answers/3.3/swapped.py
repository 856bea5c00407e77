# expects: `score_first` and `topk_first` have changed places
def two_orders(logits, k, renorm):
    score_first = logits.softmax(dim=-1).topk(k).values
    if renorm:
        score_first = score_first / score_first.sum(dim=-1, keepdim=True)
    return logits.topk(k).values.softmax(dim=-1), score_first
