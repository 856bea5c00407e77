# expects: σ is ignored
def responsibilities(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * (targets[:, None] - outputs) ** 2
    return z.softmax(dim=-1)
