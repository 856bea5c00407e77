# expects: All weights are equal
import torch


def top_k_route(scores, k):
    expert_ids = scores.argsort(dim=-1, descending=True, stable=True)[:, :k]
    return torch.full(expert_ids.shape, 1 / k, dtype=scores.dtype), expert_ids
