# expects: P of the chosen scores alone
import torch


def load_balancing_loss(scores, expert_ids):
    E = scores.shape[1]
    mask = torch.zeros_like(scores).scatter(1, expert_ids, 1)
    f = mask.sum(0) / mask.sum()
    return E * (f * (scores * mask).mean(0)).sum()
