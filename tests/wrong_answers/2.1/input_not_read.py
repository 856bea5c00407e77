# expects: The input is not read
def soft_gate(x, w_gate, b_gate, outputs):
    log_gates = b_gate.log_softmax(dim=-1).expand(len(x), -1)
    return log_gates, (log_gates.exp() * outputs).sum(dim=-1)
