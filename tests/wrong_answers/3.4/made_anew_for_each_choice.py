# expects: Only the last choice is put in
import torch


def combine_matrix(weights, expert_ids, n_experts):
    rows = torch.arange(len(weights))
    for j in range(weights.shape[1]):
        combine = weights.new_zeros(len(weights), n_experts)
        combine[rows, expert_ids[:, j]] = weights[:, j]
    return combine
