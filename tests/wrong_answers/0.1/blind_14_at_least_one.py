# expects: `load` is not right yet | *
# gives 1 instead of 0 to an expert that got nothing (clamped against a division by zero)
import torch


def expert_load(expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    return torch.bincount(expert_ids.flatten(), minlength=n_experts).clamp(min=1)
