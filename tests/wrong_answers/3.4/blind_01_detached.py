# expects: No gradient reaches `weights` | *
# right values, but the weights are detached: no gradient reaches them
import torch


def combine_matrix(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    combine = weights.new_zeros(weights.shape[0], n_experts)
    return combine.scatter(1, expert_ids, weights.detach())
