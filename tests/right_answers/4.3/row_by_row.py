import torch


def combine(out, order, weights):
    rows = [0] * len(weights)
    for answer, place in zip(out, order.tolist(), strict=True):
        n, j = divmod(place, weights.shape[1])
        rows[n] = rows[n] + weights[n, j] * answer
    return torch.stack(rows)
