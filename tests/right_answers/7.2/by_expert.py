import torch


def keep_best(weights, expert_ids, capacity):
    kept = torch.zeros_like(weights)
    for e in expert_ids.unique():
        token, choice = (expert_ids == e).nonzero(as_tuple=True)
        best = weights[token, choice].argsort(descending=True, stable=True)[:capacity]
        kept[token[best], choice[best]] = 1
    return weights * kept
