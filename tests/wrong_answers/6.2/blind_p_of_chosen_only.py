# expects: P of the chosen scores alone
import torch


def load_balancing_loss(scores, expert_ids):
    E = scores.shape[1]
    f = torch.bincount(expert_ids.flatten(), minlength=E).to(scores.dtype) / expert_ids.numel()
    mask = torch.zeros_like(scores).scatter(1, expert_ids, 1.0)
    P = (scores * mask).mean(dim=0)
    return E * (f * P).sum()
