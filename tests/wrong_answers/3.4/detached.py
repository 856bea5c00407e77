# expects: No gradient reaches `weights`
import torch


def combine_matrix(weights, expert_ids, n_experts):
    combine = torch.zeros(len(weights), n_experts, dtype=weights.dtype)
    for n, (row, ids) in enumerate(zip(weights.tolist(), expert_ids.tolist(), strict=True)):
        for weight, expert in zip(row, ids, strict=True):
            combine[n, expert] = weight
    return combine
