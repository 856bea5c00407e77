# expects: The gates themselves
def soft_gate(x, w_gate, b_gate, outputs):
    gates = (x @ w_gate.T + b_gate).softmax(dim=-1)
    return gates, (gates * outputs).sum(dim=-1)
