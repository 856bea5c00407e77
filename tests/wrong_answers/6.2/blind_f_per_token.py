# expects: f is divided by the tokens, not by the assignments
import torch


def load_balancing_loss(scores, expert_ids):
    N, E = scores.shape
    f = torch.bincount(expert_ids.flatten(), minlength=E).to(scores.dtype) / N
    P = scores.mean(dim=0)
    return E * (f * P).sum()
