# expects: Nothing is returned
def mixture_nll(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    loss = -z.logsumexp(dim=-1).mean()
