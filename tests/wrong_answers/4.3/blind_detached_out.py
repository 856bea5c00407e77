# expects: No gradient reaches `out` | *
# the answers are detached


def combine(out, order, weights):
    n, k = weights.shape
    back = out.detach()[order.argsort()].view(n, k, -1)
    return (back * weights[:, :, None]).sum(dim=1)
