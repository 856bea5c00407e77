# expects: f is divided by the tokens, not by the assignments
import torch


def load_balancing_loss(scores, expert_ids):
    E = scores.shape[1]
    f = torch.bincount(expert_ids.flatten(), minlength=E).to(scores.dtype) / len(scores)
    return E * (f * scores.mean(0)).sum()
