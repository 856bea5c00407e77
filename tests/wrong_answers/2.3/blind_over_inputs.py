# expects: Softmax over the rows | *
# columns sum to 1


def responsibilities(log_gates, outputs, targets, sigma):
    gap = (targets[:, None] - outputs) / sigma
    return (log_gates - 0.5 * gap**2).softmax(0)
