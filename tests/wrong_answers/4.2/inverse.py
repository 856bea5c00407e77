# expects: The permutation the wrong way round
import torch


def dispatch_order(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return flat.argsort(stable=True).argsort(), torch.bincount(flat, minlength=n_experts)
