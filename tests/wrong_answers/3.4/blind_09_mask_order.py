# expects: `combine` is not right yet | *
# fills a boolean mask row by row: the weights land by expert number, not with their own expert
import torch
import torch.nn.functional as F


def combine_matrix(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    mask = F.one_hot(expert_ids, n_experts).sum(dim=1).bool()
    combine = weights.new_zeros(weights.shape[0], n_experts)
    return combine.masked_scatter(mask, weights)
