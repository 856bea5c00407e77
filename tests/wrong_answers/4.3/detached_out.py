# expects: No gradient reaches `out`
def combine(out, order, weights):
    k = weights.shape[1]
    weighted = out.detach() * weights.flatten()[order, None]
    return out.new_zeros(len(weights), out.shape[1]).index_add(0, order // k, weighted)
