# expects: `order` and `counts` have changed places
import torch


def dispatch_order(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return torch.bincount(flat, minlength=n_experts), flat.argsort(stable=True)
