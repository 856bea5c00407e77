# expects: `load` is not right yet | *
# divides by K: tokens-worth of load instead of assignments
import torch


def expert_load(expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    n, k = expert_ids.shape
    return torch.bincount(expert_ids.flatten(), minlength=n_experts) // k
