import torch


def expert_load(expert_ids, n_experts):
    flat = expert_ids.reshape(-1)
    return torch.zeros(n_experts, dtype=torch.int64).scatter_add_(0, flat, torch.ones_like(flat))
