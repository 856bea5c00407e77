# expects: Places were counted choice by choice
def combine(out, order, weights):
    k = weights.shape[1]
    weighted = out * weights.flatten()[order, None]
    return out.new_zeros(len(weights), out.shape[1]).index_add(0, order % len(weights), weighted)
