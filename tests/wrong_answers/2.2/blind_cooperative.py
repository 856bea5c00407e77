# expects: That is the cooperative loss | *
# the squared error of the blend


def mixture_nll(log_gates, outputs, targets, sigma):
    y = (log_gates.exp() * outputs).sum(-1)
    return (0.5 * ((targets - y) / sigma) ** 2).mean()
