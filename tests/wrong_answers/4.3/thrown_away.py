# expects: Nothing was written
def combine(out, order, weights):
    y = out.new_zeros(len(weights), out.shape[1])
    y.index_add(0, order // weights.shape[1], out * weights.flatten()[order, None])
    return y
