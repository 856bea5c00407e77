# expects: More rows than chose the expert
import torch


def moe_loop(x, weights, expert_ids, experts):
    y = torch.zeros_like(x)
    for e, expert in enumerate(experts):
        token, choice = (expert_ids == e).nonzero(as_tuple=True)
        k = weights.shape[1]
        mine = token.repeat_interleave(k)
        y = y.index_add(0, mine, expert(x[mine]) * weights[token, choice, None].repeat_interleave(k, dim=0) / k)
    return y
