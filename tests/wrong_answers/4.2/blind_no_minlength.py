# expects: The last experts are cut off | *
# bincount without minlength
import torch


def dispatch_order(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return flat.argsort(stable=True), torch.bincount(flat)
