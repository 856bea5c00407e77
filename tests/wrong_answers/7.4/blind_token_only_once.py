# expects: Every token is taken once
import torch


def expert_choice(scores, capacity):
    n, e = scores.shape
    taken = torch.zeros(n, dtype=torch.bool)
    rows = []
    for i in range(e):
        open_scores = scores[:, i].detach().masked_fill(taken, float("-inf"))
        ids = open_scores.argsort(descending=True, stable=True)[:capacity]
        taken[ids] = True
        rows.append(ids)
    token_ids = torch.stack(rows)
    weights = scores.t().gather(1, token_ids)
    return weights, token_ids
