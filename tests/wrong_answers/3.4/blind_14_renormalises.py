# expects: The rows were normalised | *
# divides the weights by their row sum first: changes weights that do not sum to 1
import torch


def combine_matrix(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    w = weights / weights.sum(dim=-1, keepdim=True)
    return weights.new_zeros(weights.shape[0], n_experts).scatter(1, expert_ids, w)
