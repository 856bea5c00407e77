# expects: Not a number for strong gates
def swiglu(x, w_gate, w_up, w_down):
    gate, up = x @ w_gate.T, x @ w_up.T
    return (gate * gate.exp() / (1 + gate.exp()) * up) @ w_down.T
