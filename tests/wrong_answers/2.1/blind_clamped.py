# expects: The logarithms have a floor | *
# log of a share held above 1e-8


def soft_gate(x, w_gate, b_gate, outputs):
    g = (x @ w_gate.T + b_gate).softmax(-1)
    return g.clamp(min=1e-8).log(), (g * outputs).sum(-1)
