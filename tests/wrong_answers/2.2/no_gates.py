# expects: The gates are missing
def mixture_nll(log_gates, outputs, targets, sigma):
    z = -0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return -z.logsumexp(dim=-1).mean()
