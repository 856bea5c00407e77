# expects: σ is ignored
def mixture_nll(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * (targets[:, None] - outputs) ** 2
    return -z.logsumexp(dim=-1).mean()
