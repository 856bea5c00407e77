# expects: tanh, not silu
import torch


def swiglu(x, w_gate, w_up, w_down):
    gate, up = x @ w_gate.T, x @ w_up.T
    return (torch.tanh(gate) * up) @ w_down.T
