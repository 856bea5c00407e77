# expects: Only the last choice is left
import torch


def moe_loop(x, weights, expert_ids, experts):
    for j in range(weights.shape[1]):
        y = torch.zeros_like(x)
        for e, expert in enumerate(experts):
            mine = expert_ids[:, j] == e
            y[mine] = expert(x[mine]) * weights[mine, j, None]
    return y
