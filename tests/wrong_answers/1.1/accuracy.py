# expects: That is the accuracy
def cross_entropy(logits, targets):
    kept = targets != -100
    logits, targets = logits[kept], targets[kept]
    return (logits.argmax(dim=-1) == targets).float().mean()
