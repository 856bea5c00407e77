# expects: The half is missing | *
# no one half


def mixture_nll(log_gates, outputs, targets, sigma):
    gap = (targets[:, None] - outputs) / sigma
    return -(log_gates - gap**2).logsumexp(-1).mean()
