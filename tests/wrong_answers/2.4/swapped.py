# expects: `cooperative` and `competitive` have changed places
def pulls(log_gates, outputs, targets, sigma):
    gates = log_gates.exp()
    y = (gates * outputs).sum(dim=-1, keepdim=True)
    t = targets[:, None]
    h = (log_gates - 0.5 * ((t - outputs) / sigma) ** 2).softmax(dim=-1)
    return h * (t - outputs) / sigma**2, gates * (t - y) / sigma**2
