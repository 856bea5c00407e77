# expects: The weights are applied twice
def combine(out, order, weights):
    k = weights.shape[1]
    weighted = out * (weights**2).flatten()[order, None]
    return out.new_zeros(len(weights), out.shape[1]).index_add(0, order // k, weighted)
