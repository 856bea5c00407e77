# expects: `topk_first` takes its softmax over all experts
def two_orders(logits, k, renorm):
    scores = logits.softmax(dim=-1).topk(k).values
    score_first = scores / scores.sum(dim=-1, keepdim=True) if renorm else scores
    return score_first, logits.softmax(dim=-1).gather(1, logits.topk(k).indices)
