# expects: A row for each choice
def combine(out, order, weights):
    return out[order.argsort()].view(*weights.shape, -1) * weights.unsqueeze(-1)
