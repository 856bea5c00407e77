# expects: Rows and columns have changed places | *
# one row an expert: (E, N) instead of (N, E)
import torch


def combine_matrix(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    combine = weights.new_zeros(n_experts, weights.shape[0])
    return combine.scatter(0, expert_ids.T, weights.T)
