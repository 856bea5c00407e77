# expects: Your function changed its input
def soft_gate(x, w_gate, b_gate, outputs):
    x *= 1.5
    x /= 3
    log_gates = (2 * x @ w_gate.T + b_gate).log_softmax(dim=-1)
    return log_gates, (log_gates.exp() * outputs).sum(dim=-1)
