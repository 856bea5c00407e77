# expects: Your function changed its input | A change in place
def combine(out, order, weights):
    out *= weights.flatten()[order, None]
    return out.new_zeros(len(weights), out.shape[1]).index_add(0, order // weights.shape[1], out)
