# expects: Divided by the tokens of one layer
import torch


def mixtral_loss(scores, expert_ids):
    s = torch.cat(scores)
    ids = torch.cat(expert_ids)
    E = s.shape[1]
    N = scores[0].shape[0]
    f = torch.bincount(ids.flatten(), minlength=E).to(s.dtype) / N
    return E * (f * s.mean(dim=0)).sum()
