# expects: The first expert is left out | *
# expert 0 is taken for "no expert"
import torch


def moe_loop(x, weights, expert_ids, experts):
    y = torch.zeros_like(x)
    for e, expert in enumerate(experts):
        token, choice = ((expert_ids == e) & (expert_ids != 0)).nonzero(as_tuple=True)
        if len(token):
            y = y.index_add(0, token, expert(x[token]) * weights[token, choice, None])
    return y
