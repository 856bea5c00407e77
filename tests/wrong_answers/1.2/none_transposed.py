# expects: Two matrices do not fit
import torch.nn.functional as F


def swiglu(x, w_gate, w_up, w_down):
    gate, up = x @ w_gate, x @ w_up
    return (F.silu(gate) * up) @ w_down
