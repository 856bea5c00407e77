# expects: `load` has the wrong type | *
# right numbers, returned as float32 instead of int64
import torch
import torch.nn.functional as F


def expert_load(expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    return F.one_hot(expert_ids, n_experts).float().sum(dim=(0, 1))
