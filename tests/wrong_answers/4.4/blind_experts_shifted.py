# expects: `y` is not right yet | *
# every slice goes to the next expert
import torch
import torch.nn.functional as F


def sparse_forward(x, weights, expert_ids, gate_up, down):
    flat = expert_ids.flatten()
    order = flat.argsort(stable=True)
    token = order // expert_ids.shape[1]
    sizes = torch.bincount(flat, minlength=len(gate_up)).tolist()
    answers = []
    for rows, w_in, w_out in zip(
        x[token].split(sizes), gate_up.roll(1, 0).unbind(0), down.roll(1, 0).unbind(0), strict=False
    ):
        gate, up = F.linear(rows, w_in).chunk(2, dim=-1)
        answers.append(F.linear(F.silu(gate) * up, w_out))
    weighted = torch.cat(answers) * weights.flatten()[order, None]
    return torch.zeros_like(x).index_add(0, token, weighted)
