# expects: `y` is not right yet | *
# a token keeps only the answer with the largest weight
import torch


def moe_loop(x, weights, expert_ids, experts):
    y = torch.zeros_like(x)
    best = weights.argmax(dim=1)
    for e, expert in enumerate(experts):
        token, choice = (expert_ids == e).nonzero(as_tuple=True)
        keep = best[token] == choice
        if len(token):
            y = y.index_add(0, token, expert(x[token]) * (weights[token, choice] * keep)[:, None])
    return y
