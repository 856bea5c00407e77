# expects: silu on the input
import torch.nn.functional as F


def swiglu(x, w_gate, w_up, w_down):
    h = F.silu(x)
    return ((h @ w_gate.T) * (x @ w_up.T)) @ w_down.T
