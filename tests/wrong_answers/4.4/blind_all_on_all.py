# expects: Every expert computes every token | *
# every expert computes every token
import torch
import torch.nn.functional as F


def sparse_forward(x, weights, expert_ids, gate_up, down):
    y = torch.zeros_like(x)
    for e in range(len(gate_up)):
        gate, up = F.linear(x, gate_up[e]).chunk(2, dim=-1)
        y = y + F.linear(F.silu(gate) * up, down[e]) * (weights * (expert_ids == e)).sum(dim=1, keepdim=True)
    return y
