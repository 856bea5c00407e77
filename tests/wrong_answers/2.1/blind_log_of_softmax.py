# expects: The logarithm of 0 | *
# the logarithm of a share that may be 0


def soft_gate(x, w_gate, b_gate, outputs):
    g = (x @ w_gate.T + b_gate).softmax(-1)
    return g.log(), (g * outputs).sum(-1)
