# expects: Starts, not counts | *
# where each slice begins, not how long it is
import torch


def dispatch_order(expert_ids, n_experts):
    flat = expert_ids.flatten()
    counts = torch.bincount(flat, minlength=n_experts)
    return flat.argsort(stable=True), counts.cumsum(0) - counts
