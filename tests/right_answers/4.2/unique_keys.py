import torch


def dispatch_order(expert_ids, n_experts):
    flat = expert_ids.reshape(-1)
    order = (flat * len(flat) + torch.arange(len(flat))).sort().indices
    return order, (flat[:, None] == torch.arange(n_experts)).sum(dim=0)
