def responsibilities(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    most = z.max(dim=-1, keepdim=True).values
    parts = (z - most).exp()
    return parts / parts.sum(dim=-1, keepdim=True)
