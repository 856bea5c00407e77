# expects: A column, not a row of answers
def soft_gate(x, w_gate, b_gate, outputs):
    log_gates = (x @ w_gate.T + b_gate).log_softmax(dim=-1)
    return log_gates, (log_gates.exp() * outputs).sum(dim=-1, keepdim=True)
