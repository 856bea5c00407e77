import torch


def mixture_nll(log_gates, outputs, targets, sigma):
    total = None
    for e in range(outputs.shape[1]):
        term = log_gates[:, e] - (targets - outputs[:, e]) ** 2 / (2 * sigma**2)
        total = term if total is None else torch.logaddexp(total, term)
    return -total.mean()
