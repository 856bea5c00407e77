# expects: No gradient reaches `w_gate` | No gradient reaches `x`
def soft_gate(x, w_gate, b_gate, outputs):
    log_gates = (x @ w_gate.T + b_gate).log_softmax(dim=-1).detach()
    return log_gates, (log_gates.exp() * outputs).sum(dim=-1)
