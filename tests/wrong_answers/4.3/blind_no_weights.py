# expects: The weights are missing | *
# the answers are added as they are


def combine(out, order, weights):
    n, k = weights.shape
    return out[order.argsort()].view(n, k, -1).sum(dim=1)
