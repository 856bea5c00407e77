# expects: Only the first choice counts
def combine(out, order, weights):
    return out[order.argsort()].view(*weights.shape, -1)[:, 0] * weights[:, :1]
