# expects: The bias is missing | *
# the bias is forgotten


def soft_gate(x, w_gate, b_gate, outputs):
    lg = (x @ w_gate.T).log_softmax(-1)
    return lg, (lg.exp() * outputs).sum(-1)
