# expects: Several calls of one expert
import torch


def moe_loop(x, weights, expert_ids, experts):
    y = torch.zeros_like(x)
    for j in range(weights.shape[1]):
        for e, expert in enumerate(experts):
            mine = expert_ids[:, j] == e
            y[mine] += expert(x[mine]) * weights[mine, j, None]
    return y
