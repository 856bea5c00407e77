# expects: Only the first choice counts
import torch


def moe_loop(x, weights, expert_ids, experts):
    y = torch.zeros_like(x)
    for e, expert in enumerate(experts):
        mine = expert_ids[:, 0] == e
        y[mine] = expert(x[mine]) * weights[mine, :1]
    return y
