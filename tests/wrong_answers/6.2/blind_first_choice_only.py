# expects: Only the first choice is counted
import torch


def load_balancing_loss(scores, expert_ids):
    E = scores.shape[1]
    first = expert_ids[:, 0]
    f = torch.bincount(first, minlength=E).to(scores.dtype) / first.numel()
    P = scores.mean(dim=0)
    return E * (f * P).sum()
