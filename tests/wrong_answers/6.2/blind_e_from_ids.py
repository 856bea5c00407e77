# expects: E is the highest number seen
import torch


def load_balancing_loss(scores, expert_ids):
    counts = torch.bincount(expert_ids.flatten())
    E = counts.numel()
    f = counts.to(scores.dtype) / expert_ids.numel()
    P = scores.mean(dim=0)[:E]
    return E * (f * P).sum()
