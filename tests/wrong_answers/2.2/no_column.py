# expects: *
def mixture_nll(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets - outputs) / sigma) ** 2
    return -z.logsumexp(dim=-1).mean()
