# expects: Gate and up have changed places
import torch.nn.functional as F


def swiglu(x, w_gate, w_up, w_down):
    gate, up = x @ w_gate.T, x @ w_up.T
    return (gate * F.silu(up)) @ w_down.T
