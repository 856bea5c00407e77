import torch


def mixture_nll(log_gates, outputs, targets, sigma):
    gap = (targets.unsqueeze(-1) - outputs) / sigma
    return -torch.logsumexp(log_gates - gap.square() / 2, dim=1).mean()
