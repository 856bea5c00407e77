# expects: One call for each row
import torch


def moe_loop(x, weights, expert_ids, experts):
    y = torch.zeros_like(x)
    for n in range(len(x)):
        for j in range(weights.shape[1]):
            y[n] += weights[n, j] * experts[int(expert_ids[n, j])](x[n])
    return y
