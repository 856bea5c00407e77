# expects: The weights were not sorted along | *
# weights are not brought into the order of the rows


def combine(out, order, weights):
    k = weights.shape[1]
    y = out.new_zeros(len(weights), out.shape[1])
    return y.index_add(0, order // k, out * weights.flatten()[:, None])
