# expects: Your function changed its input | A change in place
def responsibilities(log_gates, outputs, targets, sigma):
    outputs -= targets[:, None]
    z = log_gates - 0.5 * (outputs / sigma) ** 2
    return z.softmax(dim=-1)
