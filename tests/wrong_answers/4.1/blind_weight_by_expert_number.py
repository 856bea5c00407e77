# expects: `y` is not right yet | *
# weights are read at column e, as if they had a column for each expert
import torch


def moe_loop(x, weights, expert_ids, experts):
    y = torch.zeros_like(x)
    for e, expert in enumerate(experts):
        token, choice = (expert_ids == e).nonzero(as_tuple=True)
        if len(token):
            y = y.index_add(0, token, expert(x[token]) * weights[token, e % weights.shape[1], None])
    return y
