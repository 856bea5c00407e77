# expects: Shares, not counts
import torch


def expert_load(expert_ids, n_experts):
    load = torch.bincount(expert_ids.flatten(), minlength=n_experts)
    return load / load.sum()
