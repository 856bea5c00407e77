# expects: `load` is not right yet | *
# keeps the counts in a global, so the second call adds to the first
import torch

LOADS = {}


def expert_load(expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    if n_experts not in LOADS:
        LOADS[n_experts] = torch.zeros(n_experts, dtype=torch.int64)
    LOADS[n_experts] += torch.bincount(expert_ids.flatten(), minlength=n_experts)
    return LOADS[n_experts].clone()
