# expects: The logarithm of the responsibilities | *
# logarithms of the responsibilities


def responsibilities(log_gates, outputs, targets, sigma):
    gap = (targets[:, None] - outputs) / sigma
    return (log_gates - 0.5 * gap**2).log_softmax(-1)
