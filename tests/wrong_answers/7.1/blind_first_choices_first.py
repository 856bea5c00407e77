# expects: First choices came first
import math

import torch.nn.functional as F


def keep_within_capacity(expert_ids, n_experts, factor):
    n, k = expert_ids.shape
    capacity = math.ceil(factor * n * k / n_experts * (1 - 1e-9))
    flat = F.one_hot(expert_ids.t().flatten(), n_experts)
    rank = ((flat.cumsum(0) - 1) * flat).sum(1)
    kept = (rank < capacity).view(k, n).t()
    return capacity, kept
