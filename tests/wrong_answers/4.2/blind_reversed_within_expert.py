# expects: Within an expert, places do not rise | *
# within an expert the last place comes first
import torch


def dispatch_order(expert_ids, n_experts):
    flat = expert_ids.flatten()
    order = (flat * flat.numel() - torch.arange(flat.numel())).argsort()
    return order, torch.bincount(flat, minlength=n_experts)
