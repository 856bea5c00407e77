# expects: `renorm` is ignored
def two_orders(logits, k, renorm):
    return logits.softmax(dim=-1).topk(k).values, logits.topk(k).values.softmax(dim=-1)
