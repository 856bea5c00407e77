import torch


def top_k_route(scores, k):
    ids = torch.sort(scores, dim=1, descending=True, stable=True).indices.narrow(1, 0, k)
    kept = torch.take_along_dim(scores, ids, dim=1)
    return kept / (kept.sum(dim=1, keepdim=True) + 1e-9), ids
