# expects: The gates are missing | *
# the gates are forgotten


def responsibilities(log_gates, outputs, targets, sigma):
    gap = (targets[:, None] - outputs) / sigma
    return (-0.5 * gap**2).softmax(-1)
