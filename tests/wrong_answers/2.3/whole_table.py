# expects: One softmax over the whole table
def responsibilities(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return z.flatten().softmax(dim=0).view_as(z)
