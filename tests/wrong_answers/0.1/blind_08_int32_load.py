# expects: `load` has the wrong type | *
# right numbers in int32 instead of int64
import torch


def expert_load(expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    load = torch.zeros(n_experts, dtype=torch.int32)
    flat = expert_ids.reshape(-1)
    return load.scatter_add(0, flat, torch.ones_like(flat, dtype=torch.int32))
