# expects: The exponent's sign is turned | *
# nearer is worse


def responsibilities(log_gates, outputs, targets, sigma):
    gap = (targets[:, None] - outputs) / sigma
    return (log_gates + 0.5 * gap**2).softmax(-1)
