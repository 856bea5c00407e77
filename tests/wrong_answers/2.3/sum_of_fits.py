# expects: The rows do not sum to 1
def responsibilities(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return z.exp() / (z - log_gates).exp().sum(dim=-1, keepdim=True)
