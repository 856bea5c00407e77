# expects: Divided by the targets that do not count, too
def cross_entropy(logits, targets):
    counted = targets != -100
    own = logits.gather(1, targets.clamp(min=0)[:, None])[:, 0]
    cost = logits.logsumexp(dim=-1) - own
    return (cost * counted).mean()
