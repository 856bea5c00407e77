# expects: Layers side by side, not one below the other
import torch


def mixtral_loss(scores, expert_ids):
    s = torch.cat(scores, dim=1)
    ids = torch.cat(expert_ids, dim=1)
    N, E = s.shape
    f = torch.bincount(ids.flatten(), minlength=E).to(s.dtype) / N
    return E * (f * s.mean(dim=0)).sum()
