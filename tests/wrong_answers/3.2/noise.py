# expects: Two answers to one question
import torch


def top_k_route(scores, k):
    noisy = scores + 0.2 * torch.rand(scores.shape, dtype=scores.dtype)
    weights, expert_ids = noisy.sort(dim=-1, descending=True, stable=True)
    weights = weights[:, :k]
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids[:, :k]
