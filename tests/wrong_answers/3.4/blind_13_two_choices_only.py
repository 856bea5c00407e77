# expects: `combine` is not right yet | *
# writes the first two choices only: right for k <= 2
import torch


def combine_matrix(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    combine = weights.new_zeros(weights.shape[0], n_experts)
    for j in range(min(2, weights.shape[1])):
        combine = combine.scatter(1, expert_ids[:, j : j + 1], weights[:, j : j + 1])
    return combine
