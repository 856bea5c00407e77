# expects: The weights are missing
def combine(out, order, weights):
    k = weights.shape[1]
    weighted = out * 1
    return out.new_zeros(len(weights), out.shape[1]).index_add(0, order // k, weighted)
