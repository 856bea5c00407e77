# expects: Places are counted choice by choice | *
# all first choices, then all second ones
import torch


def dispatch_order(expert_ids, n_experts):
    flat = expert_ids.t().reshape(-1)
    return flat.argsort(stable=True), torch.bincount(flat, minlength=n_experts)
