# expects: A normalised density | *
# the normal density with its constant
import torch


def mixture_nll(log_gates, outputs, targets, sigma):
    gap = (targets[:, None] - outputs) / sigma
    return -(log_gates - 0.5 * gap**2 - torch.log(torch.tensor(sigma * (2 * torch.pi) ** 0.5))).logsumexp(-1).mean()
