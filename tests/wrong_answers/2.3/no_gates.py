# expects: The gates are missing
def responsibilities(log_gates, outputs, targets, sigma):
    z = -0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return z.softmax(dim=-1)
