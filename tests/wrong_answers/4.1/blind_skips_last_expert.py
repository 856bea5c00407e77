# expects: The last expert is left out | *
# the loop stops before the last expert
import torch


def moe_loop(x, weights, expert_ids, experts):
    y = torch.zeros_like(x)
    for e in range(len(experts) - 1):
        token, choice = (expert_ids == e).nonzero(as_tuple=True)
        if len(token):
            y = y.index_add(0, token, experts[e](x[token]) * weights[token, choice, None])
    return y
