# expects: No gradient reaches `scores[0]`
import torch


def mixtral_loss(scores, expert_ids):
    s = torch.cat([x.detach() for x in scores])
    ids = torch.cat(expert_ids)
    N, E = s.shape
    f = torch.bincount(ids.flatten(), minlength=E).to(s.dtype) / N
    return E * (f * s.mean(dim=0)).sum()
