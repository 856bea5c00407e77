# expects: `exp` overflows
def softmax(z):
    return z.exp() / z.exp().sum(dim=-1, keepdim=True)


def two_orders(logits, k, renorm):
    score_first = softmax(logits).topk(k).values
    if renorm:
        score_first = score_first / score_first.sum(dim=-1, keepdim=True)
    return score_first, softmax(logits.topk(k).values)
