# expects: One softmax over the whole table
def soft_gate(x, w_gate, b_gate, outputs):
    logits = x @ w_gate.T + b_gate
    log_gates = logits.flatten().log_softmax(dim=0).view_as(logits)
    return log_gates, (log_gates.exp() * outputs).sum(dim=-1)
