import torch


def expert_load(expert_ids, n_experts):
    return torch.stack([(expert_ids == expert).sum() for expert in range(n_experts)])
