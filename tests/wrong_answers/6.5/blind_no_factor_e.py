# expects: The factor E is missing
import torch


def mixtral_loss(scores, expert_ids):
    s = torch.cat(scores)
    ids = torch.cat(expert_ids)
    f = torch.bincount(ids.flatten(), minlength=s.shape[1]).to(s.dtype) / s.shape[0]
    return (f * s.mean(dim=0)).sum()
