# expects: Only the first choices are counted | *
# counts tokens of first choices only
import torch


def dispatch_order(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return flat.argsort(stable=True), torch.bincount(expert_ids[:, 0], minlength=n_experts)
