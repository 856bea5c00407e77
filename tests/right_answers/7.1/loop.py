import math

import torch


def keep_within_capacity(expert_ids, n_experts, factor):
    capacity = math.ceil(round(factor * expert_ids.numel() / n_experts, 6))
    taken = [0] * n_experts
    kept = torch.zeros(expert_ids.shape, dtype=torch.bool)
    for n, row in enumerate(expert_ids.tolist()):
        for j, e in enumerate(row):
            kept[n, j] = taken[e] < capacity
            taken[e] += 1
    return capacity, kept
