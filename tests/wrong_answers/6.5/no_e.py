# expects: The factor E is missing
import torch


def mixtral_loss(scores, expert_ids):
    s, i = torch.cat(scores), torch.cat(expert_ids)
    f = torch.bincount(i.flatten(), minlength=s.shape[1]).to(s.dtype) / len(s)
    return (f * s.mean(0)).sum()
