# expects: The sum runs over the tokens
def two_orders(logits, k, renorm):
    score_first = logits.softmax(dim=-1).topk(k).values
    if renorm:
        score_first = score_first / score_first.sum(dim=0, keepdim=True)
    return score_first, logits.topk(k).values.softmax(dim=-1)
