# expects: In the order of the experts, not of the places
import math

import torch


def keep_within_capacity(expert_ids, n_experts, factor):
    n, k = expert_ids.shape
    capacity = math.ceil(factor * n * k / n_experts * (1 - 1e-9))
    sorted_ids, order = expert_ids.flatten().sort(stable=True)
    load = torch.bincount(sorted_ids, minlength=n_experts)
    start = load.cumsum(0) - load
    rank = torch.arange(n * k) - start[sorted_ids]
    kept = (rank < capacity).view(n, k)
    return capacity, kept
