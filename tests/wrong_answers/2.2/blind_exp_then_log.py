# expects: The logarithm of 0 | *
# overflows to log 0 for far targets


def mixture_nll(log_gates, outputs, targets, sigma):
    fit = (-0.5 * ((targets[:, None] - outputs) / sigma) ** 2).exp()
    return -((log_gates.exp() * fit).sum(-1)).log().mean()
