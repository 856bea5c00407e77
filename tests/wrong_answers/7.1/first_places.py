# expects: The first tokens, whatever they chose
import math

import torch
import torch.nn.functional as F


def keep_within_capacity(expert_ids, n_experts, factor):
    capacity = math.ceil(round(factor * expert_ids.numel() / n_experts, 6))
    flat = expert_ids.flatten()
    place = F.one_hot(flat, n_experts).cumsum(dim=0).gather(1, flat[:, None])
    kept = (torch.arange(len(flat)) < capacity).view_as(expert_ids)
    return capacity, kept
