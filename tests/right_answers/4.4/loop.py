import torch


def sparse_forward(x, weights, expert_ids, gate_up, down):
    y = torch.zeros_like(x)
    for e in range(gate_up.shape[0]):
        n, j = torch.where(expert_ids == e)
        half = down.shape[2]
        gate, up = x[n] @ gate_up[e, :half].T, x[n] @ gate_up[e, half:].T
        y = y.index_add(0, n, (gate * gate.sigmoid() * up) @ down[e].T * weights[n, j].unsqueeze(-1))
    return y
