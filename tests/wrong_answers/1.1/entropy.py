# expects: That is the entropy
def cross_entropy(logits, targets):
    kept = targets != -100
    logits, targets = logits[kept], targets[kept]
    p = logits.softmax(-1)
    return -(p * p.log()).sum(dim=-1).mean()
