# expects: Several calls of one expert | *
# each expert is called once for every choice, K times
import torch


def moe_loop(x, weights, expert_ids, experts):
    y = torch.zeros_like(x)
    for j in range(weights.shape[1]):
        for e, expert in enumerate(experts):
            token = (expert_ids[:, j] == e).nonzero()[:, 0]
            if len(token):
                y = y.index_add(0, token, expert(x[token]) * weights[token, j, None])
    return y
