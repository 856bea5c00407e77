# expects: `loss` is not right yet | *
# log_gates are taken for gates


def mixture_nll(log_gates, outputs, targets, sigma):
    gap = (targets[:, None] - outputs) / sigma
    return -(log_gates * (-0.5 * gap**2).exp()).sum(-1).abs().log().mean()
