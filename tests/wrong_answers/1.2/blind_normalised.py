# expects: Softmax, not silu | *
def swiglu(x, w_gate, w_up, w_down):
    return ((x @ w_gate.T).softmax(-1) * (x @ w_up.T)) @ w_down.T
