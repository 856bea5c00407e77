# expects: 0 divided by 0 | *
# 0 over 0 for far targets


def responsibilities(log_gates, outputs, targets, sigma):
    t = log_gates.exp() * (-0.5 * ((targets[:, None] - outputs) / sigma) ** 2).exp()
    return t / t.sum(-1, keepdim=True)
