# expects: Every expert computes every token
import torch


def moe_loop(x, weights, expert_ids, experts):
    y = torch.zeros_like(x)
    for e, expert in enumerate(experts):
        chosen = expert_ids == e
        mine = chosen.any(dim=1, keepdim=True)
        y = y + expert(x * mine) * (weights * chosen).sum(dim=1, keepdim=True)
    return y
