# expects: The gate is missing
def swiglu(x, w_gate, w_up, w_down):
    return (x @ w_up.T) @ w_down.T
