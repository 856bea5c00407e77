# expects: The input is added | *
import torch.nn.functional as F


def swiglu(x, w_gate, w_up, w_down):
    return x + (F.silu(x @ w_gate.T) * (x @ w_up.T)) @ w_down.T
