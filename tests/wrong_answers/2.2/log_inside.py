# expects: The logarithm is inside the sum
# the paper's equation 1.2
def mixture_nll(log_gates, outputs, targets, sigma):
    cost = 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return (log_gates.exp() * cost).sum(dim=-1).mean()
