# expects: Divided by the tokens of one layer
import torch


def mixtral_loss(scores, expert_ids):
    s, i = torch.cat(scores), torch.cat(expert_ids)
    E = s.shape[1]
    f = torch.bincount(i.flatten(), minlength=E).to(s.dtype) / len(scores[0])
    return E * (f * s.mean(0)).sum()
