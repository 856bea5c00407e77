# expects: Every expert computes every token | *
# every expert computes all tokens, the mask comes afterwards
import torch


def moe_loop(x, weights, expert_ids, experts):
    y = torch.zeros_like(x)
    for e, expert in enumerate(experts):
        w = (weights * (expert_ids == e)).sum(dim=1, keepdim=True)
        y = y + expert(x) * w
    return y
