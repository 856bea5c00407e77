# expects: *
def mixture_nll(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return -(log_gates.exp() * z).sum(dim=-1).mean()
