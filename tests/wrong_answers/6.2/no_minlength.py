# expects: *
import torch


def load_balancing_loss(scores, expert_ids):
    counts = torch.bincount(expert_ids.flatten()).to(scores.dtype)
    f = counts / counts.sum()
    return scores.shape[1] * (f * scores.mean(0)[: len(f)]).sum() * (len(f) / scores.shape[1])
