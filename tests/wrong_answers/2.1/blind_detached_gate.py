# expects: The gradient for `x` differs | *
# the gate gets no gradient from the blend


def soft_gate(x, w_gate, b_gate, outputs):
    lg = (x @ w_gate.T + b_gate).log_softmax(-1)
    return lg, (lg.exp().detach() * outputs).sum(-1)
