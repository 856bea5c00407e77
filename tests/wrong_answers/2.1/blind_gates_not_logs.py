# expects: The gates themselves | *
# the gates, not their logarithms


def soft_gate(x, w_gate, b_gate, outputs):
    g = (x @ w_gate.T + b_gate).softmax(-1)
    return g, (g * outputs).sum(-1)
