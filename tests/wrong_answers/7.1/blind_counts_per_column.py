# expects: Each column has a count of its own
import math

import torch.nn.functional as F


def keep_within_capacity(expert_ids, n_experts, factor):
    n, k = expert_ids.shape
    capacity = math.ceil(factor * n * k / n_experts * (1 - 1e-9))
    hot = F.one_hot(expert_ids, n_experts)
    rank = ((hot.cumsum(0) - 1) * hot).sum(-1)
    kept = rank < capacity
    return capacity, kept
