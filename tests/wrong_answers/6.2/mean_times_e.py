# expects: The factor E is missing
import torch


def load_balancing_loss(scores, expert_ids):
    E = scores.shape[1]
    f = torch.bincount(expert_ids.flatten(), minlength=E).to(scores.dtype) / expert_ids.numel()
    return E * (f * scores.mean(0)).mean()
