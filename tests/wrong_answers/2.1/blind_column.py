# expects: A column, not a row of answers | *
# the blend keeps a column


def soft_gate(x, w_gate, b_gate, outputs):
    lg = (x @ w_gate.T + b_gate).log_softmax(-1)
    return lg, (lg.exp() * outputs).sum(-1, keepdim=True)
