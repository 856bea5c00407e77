# expects: Each column has a count of its own
import math

import torch.nn.functional as F


def keep_within_capacity(expert_ids, n_experts, factor):
    capacity = math.ceil(round(factor * expert_ids.numel() / n_experts, 6))
    flat = expert_ids.flatten()
    place = F.one_hot(flat, n_experts).cumsum(dim=0).gather(1, flat[:, None])
    kept = F.one_hot(expert_ids, n_experts).cumsum(dim=0).gather(2, expert_ids[..., None])[..., 0] <= capacity
    return capacity, kept
