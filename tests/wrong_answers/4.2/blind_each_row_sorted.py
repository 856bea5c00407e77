# expects: `order` is not right yet | *
# every token sorts its own choices
import torch


def dispatch_order(expert_ids, n_experts):
    flat = expert_ids.flatten()
    order = expert_ids.argsort(dim=1, stable=True) + torch.arange(len(expert_ids))[:, None] * expert_ids.shape[1]
    return order.flatten(), torch.bincount(flat, minlength=n_experts)
