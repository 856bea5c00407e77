# expects: *
import torch.nn.functional as F


def swiglu(x, w_gate, w_up, w_down):
    dtype = x.dtype
    x, w_gate, w_up, w_down = (t.bfloat16() for t in (x, w_gate, w_up, w_down))
    gate, up = x @ w_gate.T, x @ w_up.T
    return ((F.silu(gate) * up) @ w_down.T).to(dtype)
