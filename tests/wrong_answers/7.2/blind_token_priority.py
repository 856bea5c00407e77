# expects: *
import torch
import torch.nn.functional as F


def keep_best(weights, expert_ids, capacity):
    n, k = expert_ids.shape
    best = weights.detach().max(dim=1).values
    order = torch.argsort(best, descending=True, stable=True)
    ids = expert_ids[order].reshape(-1)
    onehot = F.one_hot(ids, int(ids.max()) + 1)
    place = (onehot.cumsum(0) * onehot).sum(1) - 1
    keep = torch.zeros(n, k, dtype=torch.bool, device=weights.device)
    keep[order] = (place < capacity).view(n, k)
    return weights * keep.to(weights.dtype)
