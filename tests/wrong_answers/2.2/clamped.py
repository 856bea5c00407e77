# expects: The loss has a ceiling
import torch


def mixture_nll(log_gates, outputs, targets, sigma):
    fit = torch.exp(-0.5 * ((targets[:, None] - outputs) / sigma) ** 2)
    return -(log_gates.exp() * fit).sum(dim=-1).clamp(min=1e-30).log().mean()
