# expects: Choices of a token, not of an expert
import torch


def dispatch_order(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return flat.argsort(stable=True), torch.full((len(expert_ids),), expert_ids.shape[1])
