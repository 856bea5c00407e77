# expects: One answer overwrites the other | *
def combine(out, order, weights):
    y = out.new_zeros(len(weights), out.shape[1])
    y[order // weights.shape[1]] += out * weights.flatten()[order, None]
    return y
