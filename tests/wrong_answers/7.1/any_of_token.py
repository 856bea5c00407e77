# expects: A token with one place keeps all
import math

import torch.nn.functional as F


def keep_within_capacity(expert_ids, n_experts, factor):
    capacity = math.ceil(round(factor * expert_ids.numel() / n_experts, 6))
    flat = expert_ids.flatten()
    place = F.one_hot(flat, n_experts).cumsum(dim=0).gather(1, flat[:, None])
    kept = (place <= capacity).view_as(expert_ids).any(dim=1, keepdim=True).expand_as(expert_ids)
    return capacity, kept
