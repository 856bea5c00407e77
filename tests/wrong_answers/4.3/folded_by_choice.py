# expects: Places were counted choice by choice
def combine(out, order, weights):
    n, k = weights.shape
    back = out[order.argsort()] * weights.flatten().unsqueeze(-1)
    return back.view(k, n, -1).sum(dim=0)
