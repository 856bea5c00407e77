# expects: The half is missing
def responsibilities(log_gates, outputs, targets, sigma):
    z = log_gates - ((targets[:, None] - outputs) / sigma) ** 2
    return z.softmax(dim=-1)
