# expects: Sorted by size
import torch


def expert_load(expert_ids, n_experts):
    return torch.bincount(expert_ids.flatten(), minlength=n_experts).sort(descending=True).values
