# expects: K in place of E
import torch


def load_balancing_loss(scores, expert_ids):
    E = scores.shape[1]
    K = expert_ids.shape[1]
    f = torch.bincount(expert_ids.flatten(), minlength=E).to(scores.dtype) / expert_ids.numel()
    P = scores.mean(dim=0)
    return K * (f * P).sum()
