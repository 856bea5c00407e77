# expects: No gradient reaches `logits`
def two_orders(logits, k, renorm):
    logits = logits.detach()
    score_first = logits.softmax(dim=-1).topk(k).values
    if renorm:
        score_first = score_first / score_first.sum(dim=-1, keepdim=True)
    return score_first, logits.topk(k).values.softmax(dim=-1)
