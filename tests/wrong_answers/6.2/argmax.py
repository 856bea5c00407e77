# expects: Only the best expert of each token is counted
import torch


def load_balancing_loss(scores, expert_ids):
    E = scores.shape[1]
    f = torch.bincount(scores.argmax(1), minlength=E).to(scores.dtype) / len(scores)
    return E * (f * scores.mean(0)).sum()
