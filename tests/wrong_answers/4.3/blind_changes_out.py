# expects: Your function changed its input | *
# multiplies out in place
import torch


def combine(out, order, weights):
    n, k = weights.shape
    with torch.no_grad():
        out.mul_(weights.flatten()[order, None])
    return out.new_zeros(n, out.shape[1]).index_add(0, order // k, out)
