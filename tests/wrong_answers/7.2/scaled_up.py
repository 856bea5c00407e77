# expects: What was kept is scaled up
import torch
import torch.nn.functional as F


def keep_best(weights, expert_ids, capacity):
    flat = expert_ids.flatten()
    order = weights.flatten().argsort(descending=True, stable=True)
    count = F.one_hot(flat[order]).cumsum(dim=0).gather(1, flat[order][:, None])[:, 0]
    kept = torch.empty_like(flat, dtype=torch.bool)
    kept[order] = count <= capacity
    return weights * kept.view_as(weights) * (kept.numel() / kept.sum())
