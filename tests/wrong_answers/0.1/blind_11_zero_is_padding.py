# expects: `load` is not right yet | *
# takes expert 0 for padding and never counts it
import torch


def expert_load(expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    flat = expert_ids[expert_ids > 0]
    return torch.bincount(flat, minlength=n_experts)
