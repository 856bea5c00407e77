import torch
import torch.nn.functional as F


def choose_and_move(scores, bias, k, step):
    order = (scores + bias).sort(dim=1, descending=True, stable=True).indices
    ids = order[:, :k]
    kept = torch.take_along_dim(scores, ids, dim=1)
    load = F.one_hot(ids, len(bias)).sum(dim=(0, 1))
    fair = len(scores) * k / len(bias)
    new_bias = bias.clone()
    new_bias[load > fair] -= step
    new_bias[load < fair] += step
    return kept / kept.sum(dim=1, keepdim=True), ids, new_bias
