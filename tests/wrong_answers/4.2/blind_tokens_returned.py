# expects: Tokens, not places | *
# tokens instead of places
import torch


def dispatch_order(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return flat.argsort(stable=True) // expert_ids.shape[1], torch.bincount(flat, minlength=n_experts)
