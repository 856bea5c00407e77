# expects: Softmax of the answers
def soft_gate(x, w_gate, b_gate, outputs):
    log_gates = outputs.log_softmax(dim=-1)
    return log_gates, (log_gates.exp() * outputs).sum(dim=-1)
