# expects: By place, not by weight
import torch
import torch.nn.functional as F


def keep_best(weights, expert_ids, capacity):
    flat = expert_ids.flatten()
    order = torch.arange(len(flat))
    count = F.one_hot(flat[order]).cumsum(dim=0).gather(1, flat[order][:, None])[:, 0]
    kept = torch.empty_like(flat, dtype=torch.bool)
    kept[order] = count <= capacity
    return weights * kept.view_as(weights)
