# expects: Every token is taken once
import torch


def expert_choice(scores, capacity):
    left = scores.t().clone()
    weights, ids = [], []
    for e in range(len(left)):
        kept, order = left[e].sort(descending=True, stable=True)
        ids.append(order[:capacity])
        weights.append(scores[order[:capacity], e])
        left[:, order[:capacity]] = -1
    return torch.stack(weights), torch.stack(ids)
