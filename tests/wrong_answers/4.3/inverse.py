# expects: The permutation the wrong way round
def combine(out, order, weights):
    return (out[order].view(*weights.shape, -1) * weights.unsqueeze(-1)).sum(dim=1)
