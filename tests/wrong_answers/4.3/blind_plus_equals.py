# expects: One answer overwrites the other | *
# y[index] += loses repeated rows


def combine(out, order, weights):
    k = weights.shape[1]
    y = out.new_zeros(len(weights), out.shape[1])
    y[order // k] += out * weights.flatten()[order, None]
    return y
