# expects: `combine` is not right yet | *
# takes the ids for 1-based: every weight one column too far left, expert 0 wraps to the last column
import torch


def combine_matrix(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    rows = torch.arange(weights.shape[0]).unsqueeze(1)
    combine = weights.new_zeros(weights.shape[0], n_experts)
    return combine.index_put((rows, expert_ids - 1), weights)
