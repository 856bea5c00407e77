# expects: Nothing is sorted
import torch


def dispatch_order(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return torch.arange(len(flat)), torch.bincount(flat, minlength=n_experts)
