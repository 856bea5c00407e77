# expects: Wrong shape | *
# hard-codes eight experts and ignores n_experts: crashes or has the wrong width elsewhere
import torch


def combine_matrix(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    combine = weights.new_zeros(weights.shape[0], 8)
    return combine.scatter(1, expert_ids, weights)
