# expects: `loss` is not right yet | *
# targets meet experts instead of inputs


def mixture_nll(log_gates, outputs, targets, sigma):
    gap = (targets[None, :1] - outputs) / sigma
    return -(log_gates - 0.5 * gap**2).logsumexp(-1).mean()
