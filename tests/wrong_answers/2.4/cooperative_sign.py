# expects: The cooperative pull has the wrong sign
def pulls(log_gates, outputs, targets, sigma):
    gates = log_gates.exp()
    y = (gates * outputs).sum(dim=-1, keepdim=True)
    t = targets[:, None]
    h = (log_gates - 0.5 * ((t - outputs) / sigma) ** 2).softmax(dim=-1)
    return gates * (y - t) / sigma**2, h * (t - outputs) / sigma**2
