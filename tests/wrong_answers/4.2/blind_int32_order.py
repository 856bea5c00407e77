# expects: `order` has the wrong type | *
# order in int32
import torch


def dispatch_order(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return flat.argsort(stable=True).int(), torch.bincount(flat, minlength=n_experts)
