# expects: Each column has a count of its own
import torch
import torch.nn.functional as F


def keep_best(weights, expert_ids, capacity):
    n, k = expert_ids.shape
    num = int(expert_ids.max()) + 1
    cols = []
    for j in range(k):
        order = torch.argsort(weights[:, j].detach(), descending=True, stable=True)
        onehot = F.one_hot(expert_ids[:, j][order], num)
        place = (onehot.cumsum(0) * onehot).sum(1) - 1
        keep = torch.zeros(n, dtype=torch.bool, device=weights.device)
        keep[order] = place < capacity
        cols.append(weights[:, j] * keep.to(weights.dtype))
    return torch.stack(cols, dim=1)
