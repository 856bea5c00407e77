# expects: Divided by the targets that do not count, too | *
def cross_entropy(logits, targets):
    m = targets != -100
    lp = logits.log_softmax(-1)
    t = targets.clamp(min=0)
    l = -lp.gather(1, t[:, None])[:, 0] * m
    return l.mean()
