# expects: The gates, not the responsibilities
def responsibilities(log_gates, outputs, targets, sigma):
    return log_gates.exp()
