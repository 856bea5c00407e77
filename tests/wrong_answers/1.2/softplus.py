# expects: Softplus, not silu
import torch.nn.functional as F


def swiglu(x, w_gate, w_up, w_down):
    gate, up = x @ w_gate.T, x @ w_up.T
    return (F.softplus(gate) * up) @ w_down.T
