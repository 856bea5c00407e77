# expects: Your function changed its input | *
# sets weights to zero after use: right result, the caller's weights are gone
import torch


def combine_matrix(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    combine = weights.new_zeros(weights.shape[0], n_experts).scatter(1, expert_ids, weights)
    weights.data.zero_()
    return combine
