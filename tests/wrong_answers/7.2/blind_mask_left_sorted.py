# expects: *
import torch
import torch.nn.functional as F


def keep_best(weights, expert_ids, capacity):
    n, k = expert_ids.shape
    flat_w = weights.reshape(-1)
    order = torch.argsort(flat_w.detach(), descending=True, stable=True)
    ids = expert_ids.reshape(-1)[order]
    onehot = F.one_hot(ids, int(ids.max()) + 1)
    place = (onehot.cumsum(0) * onehot).sum(1) - 1
    keep = place < capacity
    return weights * keep.view(n, k).to(weights.dtype)
