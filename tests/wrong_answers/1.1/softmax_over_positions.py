# expects: Softmax over the positions
def cross_entropy(logits, targets):
    kept = targets != -100
    log_p = logits.log_softmax(dim=0)
    return -log_p[kept].gather(1, targets[kept][:, None]).mean()
