# expects: Only the last choices are counted
import torch


def expert_load(expert_ids, n_experts):
    for column in expert_ids.unbind(dim=1):
        load = torch.bincount(column, minlength=n_experts)
    return load
