# expects: Divided by the number of choices | *
# averages over the k one-hot rows instead of adding them
import torch
import torch.nn.functional as F


def combine_matrix(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    one_hot = F.one_hot(expert_ids, n_experts).to(weights.dtype)
    return (one_hot * weights.unsqueeze(-1)).mean(dim=1)
