# expects: Divided by the experts that were chosen
import math

import torch.nn.functional as F


def keep_within_capacity(expert_ids, n_experts, factor):
    capacity = math.ceil(round(factor * expert_ids.numel() / len(expert_ids.unique()), 6))
    flat = expert_ids.flatten()
    place = F.one_hot(flat, n_experts).cumsum(dim=0).gather(1, flat[:, None])
    kept = (place <= capacity).view_as(expert_ids)
    return capacity, kept
