# expects: `combine` is not right yet | *
# row numbers with repeat instead of repeat_interleave: weights land in other tokens' rows
import torch


def combine_matrix(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    n, k = weights.shape
    rows = torch.arange(n).repeat(k)
    combine = weights.new_zeros(n, n_experts)
    return combine.index_put((rows, expert_ids.flatten()), weights.flatten(), accumulate=True)
