# expects: Each column has a count of its own
import torch
import torch.nn.functional as F


def keep_best(weights, expert_ids, capacity):
    kept = torch.zeros_like(weights)
    for j in range(weights.shape[1]):
        order = weights[:, j].argsort(descending=True, stable=True)
        ids = expert_ids[order, j]
        count = F.one_hot(ids).cumsum(dim=0).gather(1, ids[:, None])[:, 0]
        kept[order, j] = (count <= capacity).to(weights.dtype)
    return weights * kept
