# expects: σ is not squared | *
# sigma is not squared


def mixture_nll(log_gates, outputs, targets, sigma):
    gap = targets[:, None] - outputs
    return -(log_gates - 0.5 * gap**2 / sigma).logsumexp(-1).mean()
