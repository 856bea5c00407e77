# expects: GELU, not silu | *
def swiglu(x, w_gate, w_up, w_down):
    g = x @ w_gate.T
    return ((g * (1.702 * g).sigmoid()) * (x @ w_up.T)) @ w_down.T
