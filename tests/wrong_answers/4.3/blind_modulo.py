# expects: Places were counted choice by choice | *
# token = place % K


def combine(out, order, weights):
    y = out.new_zeros(len(weights), out.shape[1])
    return y.index_add(0, order % len(weights), out * weights.flatten()[order, None])
