import torch


def swiglu(x, w_gate, w_up, w_down):
    gate, up = (x @ torch.cat([w_gate, w_up]).T).chunk(2, dim=-1)
    return (w_down @ (gate / (1 + torch.exp(-gate)) * up).T).T
