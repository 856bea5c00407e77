# expects: `load` is not right yet | *
# counts in uint8, which wraps around above 255 assignments for one expert
import torch


def expert_load(expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    load = torch.zeros(n_experts, dtype=torch.uint8)
    flat = expert_ids.reshape(-1)
    load.scatter_add_(0, flat, torch.ones_like(flat, dtype=torch.uint8))
    return load.to(torch.int64)
