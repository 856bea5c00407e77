# expects: Each expert counts at most once
import torch


def dispatch_order(expert_ids, n_experts):
    flat = expert_ids.flatten()
    counts = torch.zeros(n_experts, dtype=torch.int64)
    counts[flat] += 1
    return flat.argsort(stable=True), counts
