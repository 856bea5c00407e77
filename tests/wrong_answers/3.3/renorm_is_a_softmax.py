# expects: `renorm` is another softmax
def two_orders(logits, k, renorm):
    score_first = logits.softmax(dim=-1).topk(k).values
    if renorm:
        score_first = score_first.softmax(dim=-1)
    return score_first, logits.topk(k).values.softmax(dim=-1)
