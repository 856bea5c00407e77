# expects: Each expert counts at most once
import torch


def expert_load(expert_ids, n_experts):
    load = torch.zeros(n_experts, dtype=torch.int64)
    load[expert_ids.flatten()] += 1
    return load
