# expects: Each token was sorted by itself
import torch


def dispatch_order(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return expert_ids.argsort(dim=-1, stable=True), torch.bincount(flat, minlength=n_experts)
