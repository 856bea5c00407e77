# expects: The blend weighs with logarithms | *
# the answers are weighed by the logarithms


def soft_gate(x, w_gate, b_gate, outputs):
    lg = (x @ w_gate.T + b_gate).log_softmax(-1)
    return lg, (lg * outputs).sum(-1)
