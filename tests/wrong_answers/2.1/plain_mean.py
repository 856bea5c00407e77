# expects: The blend is a plain mean
def soft_gate(x, w_gate, b_gate, outputs):
    log_gates = (x @ w_gate.T + b_gate).log_softmax(dim=-1)
    return log_gates, outputs.mean(dim=-1)
