# expects: Your function changed its input
import torch


def dispatch_order(expert_ids, n_experts):
    flat = expert_ids.view(-1)
    order = flat.argsort(stable=True)
    flat.copy_(flat[order])
    return order, torch.bincount(flat, minlength=n_experts)
