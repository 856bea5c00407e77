# expects: The weights were sorted the wrong way round
def combine(out, order, weights):
    k = weights.shape[1]
    weighted = out * weights.flatten()[order.argsort(), None]
    return out.new_zeros(len(weights), out.shape[1]).index_add(0, order // k, weighted)
