import torch


def combine(out, order, weights):
    weighted = torch.empty_like(out).index_copy(0, order, out) * weights.reshape(-1, 1)
    return weighted.unflatten(0, weights.shape).sum(1)
