# expects: A mean instead of weights
def combine(out, order, weights):
    return out[order.argsort()].view(*weights.shape, -1).mean(dim=1)
