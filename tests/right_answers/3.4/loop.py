import torch


def combine_matrix(weights, expert_ids, n_experts):
    combine = torch.zeros((weights.shape[0], n_experts), dtype=weights.dtype)
    for n in range(weights.shape[0]):
        for j in range(weights.shape[1]):
            combine[n, expert_ids[n, j]] += weights[n, j]
    return combine
