# expects: Scattered down the rows | *
# scatters along dim 0 into a square of the larger side and cuts it: tokens and experts mixed up
import torch


def combine_matrix(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    n, k = weights.shape
    m = max(n, n_experts, k)
    return weights.new_zeros(m, m).scatter(0, expert_ids, weights)[:n, :n_experts]
