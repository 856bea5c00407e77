# expects: Every gap is averaged first
def mixture_nll(log_gates, outputs, targets, sigma):
    return (0.5 * ((targets[:, None] - outputs) / sigma) ** 2).mean()
