# expects: The weights were normalised
import torch


def moe_loop(x, weights, expert_ids, experts):
    y = torch.zeros_like(x)
    for e, expert in enumerate(experts):
        token, choice = (expert_ids == e).nonzero(as_tuple=True)
        w = weights[token, choice] / weights[token].sum(dim=1)
        y = y.index_add(0, token, expert(x[token]) * w[:, None])
    return y
