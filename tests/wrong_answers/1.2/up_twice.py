# expects: The same matrix twice
import torch.nn.functional as F


def swiglu(x, w_gate, w_up, w_down):
    gate = x @ w_up.T
    up = x @ w_up.T
    return (F.silu(gate) * up) @ w_down.T
