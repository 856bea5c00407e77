# expects: The logarithm of 0
def soft_gate(x, w_gate, b_gate, outputs):
    log_gates = (x @ w_gate.T + b_gate).softmax(dim=-1).log()
    return log_gates, (log_gates.exp() * outputs).sum(dim=-1)
