# expects: A weight of another token
import torch


def moe_loop(x, weights, expert_ids, experts):
    y = torch.zeros_like(x)
    for e, expert in enumerate(experts):
        token, choice = (expert_ids == e).nonzero(as_tuple=True)
        y = y.index_add(0, token, expert(x[token]) * weights.flatten()[token, None])
    return y
