# expects: A shut gate lost its expert
def responsibilities(log_gates, outputs, targets, sigma):
    z = log_gates.exp().log() - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return z.softmax(dim=-1)
