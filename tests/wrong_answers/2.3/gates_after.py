# expects: The rows do not sum to 1
def responsibilities(log_gates, outputs, targets, sigma):
    fit = (-0.5 * ((targets[:, None] - outputs) / sigma) ** 2).softmax(dim=-1)
    return log_gates.exp() * fit
