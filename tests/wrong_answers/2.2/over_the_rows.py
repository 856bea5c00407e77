# expects: Summed over the rows
def mixture_nll(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return -z.logsumexp(dim=0).mean()
