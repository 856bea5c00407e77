# expects: One sum for all tokens


def two_orders(logits, k, renorm):
    score_first = logits.softmax(dim=-1).topk(k, dim=-1).values
    if renorm:
        score_first = score_first / score_first.sum()
    return score_first, logits.topk(k, dim=-1).values.softmax(dim=-1)
