import math

import torch


def keep_within_capacity(expert_ids, n_experts, factor):
    from fractions import Fraction

    capacity = math.ceil(Fraction(str(factor)) * expert_ids.numel() / n_experts)
    kept = torch.zeros(expert_ids.numel(), dtype=torch.bool)
    for e in range(n_experts):
        kept[(expert_ids.flatten() == e).nonzero()[:capacity, 0]] = True
    return capacity, kept.view_as(expert_ids)
