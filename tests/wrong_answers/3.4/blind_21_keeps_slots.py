# expects: One sum is missing | *
# returns (N, k, E), the sum over the k choices is forgotten (squeezed, so k=1 looks right)
import torch
import torch.nn.functional as F


def combine_matrix(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    one_hot = F.one_hot(expert_ids, n_experts).to(weights.dtype)
    return (one_hot * weights.unsqueeze(-1)).squeeze(1)
