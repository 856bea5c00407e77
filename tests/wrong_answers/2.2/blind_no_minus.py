# expects: The sign is missing | *
# the likelihood, not its negative


def mixture_nll(log_gates, outputs, targets, sigma):
    gap = (targets[:, None] - outputs) / sigma
    return (log_gates - 0.5 * gap**2).logsumexp(-1).mean()
