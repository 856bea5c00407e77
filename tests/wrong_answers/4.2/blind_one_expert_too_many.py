# expects: Wrong shape | *
# counts have a column for "none"
import torch


def dispatch_order(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return flat.argsort(stable=True), torch.bincount(flat, minlength=n_experts + 1)
