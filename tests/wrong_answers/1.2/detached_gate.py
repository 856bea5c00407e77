# expects: No gradient reaches `w_gate`
import torch.nn.functional as F


def swiglu(x, w_gate, w_up, w_down):
    gate, up = x @ w_gate.T, x @ w_up.T
    return (F.silu(gate.detach()) * up) @ w_down.T
