# expects: One dimension is expected | *
import torch


def dispatch_order(expert_ids, n_experts):
    return expert_ids.flatten().argsort(stable=True), torch.bincount(expert_ids, minlength=n_experts)
