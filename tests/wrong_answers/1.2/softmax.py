# expects: Softmax, not silu
def swiglu(x, w_gate, w_up, w_down):
    gate, up = x @ w_gate.T, x @ w_up.T
    return (gate.softmax(dim=-1) * up) @ w_down.T
