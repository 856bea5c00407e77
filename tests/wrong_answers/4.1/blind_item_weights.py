# expects: No gradient reaches `weights` | *
# weights go through .tolist(), so no gradient reaches them
import torch


def moe_loop(x, weights, expert_ids, experts):
    y = torch.zeros_like(x)
    for e, expert in enumerate(experts):
        token, choice = (expert_ids == e).nonzero(as_tuple=True)
        if len(token):
            w = torch.tensor(weights[token, choice].tolist(), dtype=x.dtype)
            y = y.index_add(0, token, expert(x[token]) * w[:, None])
    return y
