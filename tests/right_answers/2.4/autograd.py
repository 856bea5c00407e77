import torch


def pulls(log_gates, outputs, targets, sigma):
    outputs = outputs.detach().clone().requires_grad_()
    y = (log_gates.exp() * outputs).sum(dim=-1)
    blended = (0.5 * ((targets - y) / sigma) ** 2).sum()
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    each = -z.logsumexp(dim=-1).sum()
    return -torch.autograd.grad(blended, outputs)[0], -torch.autograd.grad(each, outputs)[0]
