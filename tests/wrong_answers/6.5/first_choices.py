# expects: *
import torch


def mixtral_loss(scores, expert_ids):
    s, i = torch.cat(scores), torch.cat(expert_ids)
    f = torch.bincount(i[:, 0], minlength=s.shape[1]).to(s.dtype) / len(s)
    return s.shape[1] * (f * s.mean(0)).sum()
