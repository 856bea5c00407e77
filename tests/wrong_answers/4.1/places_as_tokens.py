# expects: An index is too large
import torch


def moe_loop(x, weights, expert_ids, experts):
    y = torch.zeros_like(x)
    for e, expert in enumerate(experts):
        place = (expert_ids.flatten() == e).nonzero().flatten()
        y = y.index_add(0, place, expert(x[place]) * weights.flatten()[place, None])
    return y
