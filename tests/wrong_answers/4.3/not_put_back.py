# expects: The rows were not put back
import torch


def combine(out, order, weights):
    return torch.einsum("nk,nkd->nd", weights, out.view(*weights.shape, -1))
