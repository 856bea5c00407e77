# expects: No gradient reaches `scores`
import torch


def load_balancing_loss(scores, expert_ids):
    E = scores.shape[1]
    f = torch.bincount(expert_ids.flatten(), minlength=E).to(scores.dtype) / expert_ids.numel()
    P = scores.detach().mean(dim=0)
    return E * (f * P).sum()
