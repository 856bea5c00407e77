# expects: `h` is not right yet | *
# gates count twice


def responsibilities(log_gates, outputs, targets, sigma):
    gap = (targets[:, None] - outputs) / sigma
    return (2 * log_gates - 0.5 * gap**2).softmax(-1)
