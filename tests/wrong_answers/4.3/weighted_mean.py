# expects: Divided by the number of choices
def combine(out, order, weights):
    back = out[order.argsort()].view(*weights.shape, -1)
    return (back * weights.unsqueeze(-1)).mean(dim=1)
