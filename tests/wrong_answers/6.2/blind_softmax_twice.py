# expects: Softmax twice
import torch
import torch.nn.functional as F


def load_balancing_loss(scores, expert_ids):
    E = scores.shape[1]
    f = torch.bincount(expert_ids.flatten(), minlength=E).to(scores.dtype) / expert_ids.numel()
    P = F.softmax(scores, dim=-1).mean(dim=0)
    return E * (f * P).sum()
