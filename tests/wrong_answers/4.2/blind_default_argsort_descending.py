# expects: The last expert comes first | *
# sorted from the highest expert down
import torch


def dispatch_order(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return flat.argsort(descending=True, stable=True), torch.bincount(flat, minlength=n_experts)
