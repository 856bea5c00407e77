# expects: Nobody is responsible | *
# 0 over 0 is hidden by a small number


def responsibilities(log_gates, outputs, targets, sigma):
    t = log_gates.exp() * (-0.5 * ((targets[:, None] - outputs) / sigma) ** 2).exp()
    return t / (t.sum(-1, keepdim=True) + 1e-12)
