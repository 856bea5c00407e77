import torch


def swiglu(x, w_gate, w_up, w_down):
    gate = torch.einsum("nd,fd->nf", x, w_gate)
    up = torch.einsum("nd,fd->nf", x, w_up)
    return torch.einsum("nf,df->nd", gate * torch.sigmoid(gate) * up, w_down)
