# expects: Sorted by size
import torch


def dispatch_order(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return flat.argsort(stable=True), torch.bincount(flat, minlength=n_experts).sort(descending=True).values
