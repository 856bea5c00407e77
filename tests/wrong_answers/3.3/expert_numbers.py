# expects: Expert numbers, not weights
def two_orders(logits, k, renorm):
    return logits.softmax(dim=-1).topk(k).indices, logits.topk(k).indices
