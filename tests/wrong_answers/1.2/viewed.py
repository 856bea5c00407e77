# expects: The matrices were reshaped, not transposed
import torch.nn.functional as F


def swiglu(x, w_gate, w_up, w_down):
    gate = x @ w_gate.reshape(x.shape[1], -1)
    up = x @ w_up.reshape(x.shape[1], -1)
    return (F.silu(gate) * up) @ w_down.reshape(-1, x.shape[1])
