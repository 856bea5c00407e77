# expects: Places are counted choice by choice
import torch


def dispatch_order(expert_ids, n_experts):
    flat = expert_ids.T.flatten()
    return flat.argsort(stable=True), torch.bincount(flat, minlength=n_experts)
