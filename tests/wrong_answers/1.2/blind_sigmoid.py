# expects: Sigmoid, not silu | *
def swiglu(x, w_gate, w_up, w_down):
    return ((x @ w_gate.T).sigmoid() * (x @ w_up.T)) @ w_down.T
