# expects: Within an expert, places do not rise
import torch


def dispatch_order(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return flat.argsort(descending=True, stable=True).flip(0), torch.bincount(flat, minlength=n_experts)
