# expects: A shut gate lost its expert | *
def mixture_nll(log_gates, outputs, targets, sigma):
    z = log_gates.exp().log().clamp(min=-1e4) - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return -z.logsumexp(dim=-1).mean()
