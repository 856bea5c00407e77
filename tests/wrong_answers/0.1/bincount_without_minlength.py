# expects: The last experts are cut off
import torch


def expert_load(expert_ids, n_experts):
    return torch.bincount(expert_ids.flatten())
