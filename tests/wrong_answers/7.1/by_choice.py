# expects: First choices came first
import math

import torch.nn.functional as F


def keep_within_capacity(expert_ids, n_experts, factor):
    capacity = math.ceil(round(factor * expert_ids.numel() / n_experts, 6))
    flat = expert_ids.t().flatten()
    place = F.one_hot(flat, n_experts).cumsum(dim=0).gather(1, flat[:, None])
    kept = (place <= capacity).view(expert_ids.t().shape).t()
    return capacity, kept
