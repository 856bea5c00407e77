# expects: Only the first layer
import torch


def mixtral_loss(scores, expert_ids):
    s, i = scores[0], expert_ids[0]
    E = s.shape[1]
    f = torch.bincount(i.flatten(), minlength=E).to(s.dtype) / len(s)
    return E * (f * s.mean(0)).sum()
