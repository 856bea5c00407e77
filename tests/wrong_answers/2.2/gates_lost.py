# expects: *
def mixture_nll(log_gates, outputs, targets, sigma):
    z = (log_gates.exp() + 1e-45).log() - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return -z.logsumexp(dim=-1).mean()
