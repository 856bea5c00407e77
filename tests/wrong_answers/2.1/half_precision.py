# expects: *
def soft_gate(x, w_gate, b_gate, outputs):
    log_gates = (x.half() @ w_gate.half().T + b_gate.half()).float().log_softmax(dim=-1)
    return log_gates.to(x.dtype), (log_gates.exp().to(x.dtype) * outputs).sum(dim=-1)
