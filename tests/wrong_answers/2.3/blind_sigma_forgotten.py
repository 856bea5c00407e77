# expects: σ is ignored | *
# sigma is forgotten


def responsibilities(log_gates, outputs, targets, sigma):
    gap = targets[:, None] - outputs
    return (log_gates - 0.5 * gap**2).softmax(-1)
