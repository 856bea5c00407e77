# expects: Within an expert, places do not rise
import torch


def dispatch_order(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return flat.topk(len(flat), largest=False).indices, torch.bincount(flat, minlength=n_experts)
