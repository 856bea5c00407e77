# expects: Wrong shape | *
# minlength one too large: returns E + 1 entries
import torch


def expert_load(expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    return torch.bincount(expert_ids.flatten(), minlength=n_experts + 1)
