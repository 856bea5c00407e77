# expects: `combine` has the wrong type | *
# always float32, whatever the dtype of weights
import torch
import torch.nn.functional as F


def combine_matrix(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    one_hot = F.one_hot(expert_ids, n_experts).float()
    return (one_hot * weights.float().unsqueeze(-1)).sum(dim=1)
