# expects: *
import torch


def load_balancing_loss(scores, expert_ids):
    counts = torch.bincount(expert_ids.flatten()).to(scores.dtype)
    return scores.shape[1] * (counts / counts.sum() * scores.mean(0)).sum()
