# expects: The gates, not the responsibilities | *
# the gates themselves


def responsibilities(log_gates, outputs, targets, sigma):
    return log_gates.exp()
