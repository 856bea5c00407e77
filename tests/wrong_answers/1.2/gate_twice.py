# expects: The same matrix twice
import torch.nn.functional as F


def swiglu(x, w_gate, w_up, w_down):
    gate = x @ w_gate.T
    up = x @ w_gate.T
    return (F.silu(gate) * up) @ w_down.T
