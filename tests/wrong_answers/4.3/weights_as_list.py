# expects: No gradient reaches `weights`
import torch


def combine(out, order, weights):
    k = weights.shape[1]
    weighted = out * torch.tensor(weights.flatten().tolist(), dtype=out.dtype)[order, None]
    return out.new_zeros(len(weights), out.shape[1]).index_add(0, order // k, weighted)
