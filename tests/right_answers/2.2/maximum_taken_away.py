def mixture_nll(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    most = z.detach().max(dim=-1, keepdim=True).values
    return -((z - most).exp().sum(dim=-1).log() + most[:, 0]).mean()
