# expects: Wrong shape
import torch.nn.functional as F


def swiglu(x, w_gate, w_up, w_down):
    gate, up = w_gate @ x.T, w_up @ x.T
    return w_down @ (F.silu(gate) * up)
