# expects: One dimension is expected
import torch


def expert_load(expert_ids, n_experts):
    return torch.bincount(expert_ids, minlength=n_experts)
