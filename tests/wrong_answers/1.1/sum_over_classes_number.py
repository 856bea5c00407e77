# expects: Divided by the number of classes
def cross_entropy(logits, targets):
    kept = targets != -100
    logits, targets = logits[kept], targets[kept]
    own = logits.log_softmax(-1).gather(1, targets[:, None])
    return -own.sum() / logits.shape[1]
