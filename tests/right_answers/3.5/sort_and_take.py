import torch
import torch.nn.functional as F


def sigmoid_route(logits, k, bias):
    scores = 1 / (1 + torch.exp(-logits))
    _, ids = torch.sort(scores + bias, dim=1, descending=True, stable=True)
    ids = ids[:, :k]
    kept = torch.take_along_dim(scores, ids, dim=1)
    return F.normalize(kept, p=1, dim=1), ids
