# expects: Not 0 where nothing was chosen | *
# fills the other columns with 1e-6 instead of 0
import torch


def combine_matrix(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    combine = weights.new_full((weights.shape[0], n_experts), 1e-6)
    return combine.scatter(1, expert_ids, weights)
