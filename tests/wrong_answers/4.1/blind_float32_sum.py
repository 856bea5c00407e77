# expects: `y` has the wrong type | *
# the sum is kept in float32 whatever comes in
import torch


def moe_loop(x, weights, expert_ids, experts):
    y = torch.zeros(x.shape)
    for e, expert in enumerate(experts):
        token, choice = (expert_ids == e).nonzero(as_tuple=True)
        if len(token):
            y = y.index_add(0, token, (expert(x[token]) * weights[token, choice, None]).float())
    return y
