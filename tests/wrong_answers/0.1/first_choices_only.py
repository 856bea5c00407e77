# expects: Only the first choices are counted
import torch


def expert_load(expert_ids, n_experts):
    return torch.bincount(expert_ids[:, 0], minlength=n_experts)
