# expects: Layer by layer, then the sum
import torch


def mixtral_loss(scores, expert_ids):
    total = 0.0
    for s, ids in zip(scores, expert_ids):
        N, E = s.shape
        f = torch.bincount(ids.flatten(), minlength=E).to(s.dtype) / N
        total = total + E * (f * s.mean(dim=0)).sum()
    return total
