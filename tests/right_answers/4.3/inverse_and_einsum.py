import torch


def combine(out, order, weights):
    back = out[order.argsort()].view(*weights.shape, -1)
    return torch.einsum("nk,nkd->nd", weights, back)
