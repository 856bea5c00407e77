# expects: The logarithm of 0
def soft_gate(x, w_gate, b_gate, outputs):
    powers = (x @ w_gate.T + b_gate).exp()
    gates = powers / powers.sum(dim=-1, keepdim=True)
    return gates.log(), (gates * outputs).sum(dim=-1)
