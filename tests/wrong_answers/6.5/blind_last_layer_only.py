# expects: Only the last layer
import torch


def mixtral_loss(scores, expert_ids):
    s = scores[-1]
    ids = expert_ids[-1]
    N, E = s.shape
    f = torch.bincount(ids.flatten(), minlength=E).to(s.dtype) / N
    return E * (f * s.mean(dim=0)).sum()
