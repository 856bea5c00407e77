# expects: Divided by N, not by K | *
# token = place // N


def combine(out, order, weights):
    y = out.new_zeros(len(weights), out.shape[1])
    return y.index_add(0, (order // len(weights)).clamp(max=len(weights) - 1), out * weights.flatten()[order, None])
