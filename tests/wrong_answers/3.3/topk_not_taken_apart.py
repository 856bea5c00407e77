# expects: Two results in one name
def two_orders(logits, k, renorm):
    score_first = logits.softmax(dim=-1).topk(k)
    topk_first = logits.topk(k).softmax(dim=-1)
    return score_first, topk_first
