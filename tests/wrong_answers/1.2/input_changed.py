# expects: Your function changed its input
import torch.nn.functional as F


def swiglu(x, w_gate, w_up, w_down):
    x *= 1.0
    x -= x.mean()
    gate, up = x @ w_gate.T, x @ w_up.T
    return (F.silu(gate) * up) @ w_down.T
