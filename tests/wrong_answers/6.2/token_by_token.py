# expects: A mean over tokens of their own f · P
import torch


def load_balancing_loss(scores, expert_ids):
    E = scores.shape[1]
    f = torch.zeros_like(scores).scatter(1, expert_ids, 1 / expert_ids.shape[1])
    return E * (f * scores).sum(1).mean()
