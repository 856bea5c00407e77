# expects: Only the first choices are sorted
import torch


def dispatch_order(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return expert_ids[:, 0].argsort(stable=True), torch.bincount(flat, minlength=n_experts)
