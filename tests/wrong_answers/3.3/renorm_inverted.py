# expects: `renorm` is the wrong way round
def two_orders(logits, k, renorm):
    score_first = logits.softmax(dim=-1).topk(k).values
    if not renorm:
        score_first = score_first / score_first.sum(dim=-1, keepdim=True)
    return score_first, logits.topk(k).values.softmax(dim=-1)
