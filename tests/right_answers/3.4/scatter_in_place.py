import torch


def combine_matrix(weights, expert_ids, n_experts):
    return torch.zeros(len(weights), n_experts, dtype=weights.dtype).scatter_add_(1, expert_ids, weights)
