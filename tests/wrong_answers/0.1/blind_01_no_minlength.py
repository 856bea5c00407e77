# expects: The last experts are cut off | *
# bincount without minlength: the trailing experts that got nothing are missing
import torch


def expert_load(expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    return torch.bincount(expert_ids.flatten())
