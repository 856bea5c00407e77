# expects: A token loses all its choices at once
import torch
import torch.nn.functional as F


def keep_best(weights, expert_ids, capacity):
    n, k = expert_ids.shape
    flat_w = weights.reshape(-1)
    order = torch.argsort(flat_w.detach(), descending=True, stable=True)
    ids = expert_ids.reshape(-1)[order]
    onehot = F.one_hot(ids, int(ids.max()) + 1)
    place = (onehot.cumsum(0) * onehot).sum(1) - 1
    keep = torch.zeros(n * k, dtype=torch.bool, device=weights.device)
    keep[order] = place < capacity
    token_ok = keep.view(n, k).all(dim=1, keepdim=True)
    return weights * token_ok.to(weights.dtype)
