# expects: Experts, not places
import torch


def dispatch_order(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return flat.sort(stable=True).values, torch.bincount(flat, minlength=n_experts)
