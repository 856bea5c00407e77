# expects: A row for each choice
import torch


def moe_loop(x, weights, expert_ids, experts):
    parts = []
    for e, expert in enumerate(experts):
        token, choice = (expert_ids == e).nonzero(as_tuple=True)
        parts.append(expert(x[token]) * weights[token, choice, None])
    return torch.cat(parts)
