# expects: The gradient for `x` differs | *
def swiglu(x, w_gate, w_up, w_down):
    g = x @ w_gate.T
    return (g * g.sigmoid().detach() * (x @ w_up.T)) @ w_down.T
