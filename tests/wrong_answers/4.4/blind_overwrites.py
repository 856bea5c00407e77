# expects: One answer overwrites the other | *
# one of the K answers overwrites the others
import torch
import torch.nn.functional as F


def sparse_forward(x, weights, expert_ids, gate_up, down):
    flat = expert_ids.flatten()
    order = flat.argsort(stable=True)
    token = order // expert_ids.shape[1]
    sizes = torch.bincount(flat, minlength=len(gate_up)).tolist()
    answers = []
    for rows, w_in, w_out in zip(x[token].split(sizes), gate_up.unbind(0), down.unbind(0), strict=False):
        gate, up = F.linear(rows, w_in).chunk(2, dim=-1)
        answers.append(F.linear(F.silu(gate) * up, w_out))
    weighted = torch.cat(answers) * weights.flatten()[order, None]
    y = torch.zeros_like(x)
    y[token] = weighted
    return y
