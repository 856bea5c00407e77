# expects: The sign in the sigmoid is turned
import torch


def swiglu(x, w_gate, w_up, w_down):
    gate, up = x @ w_gate.T, x @ w_up.T
    return (gate / (1 + torch.exp(gate)) * up) @ w_down.T
