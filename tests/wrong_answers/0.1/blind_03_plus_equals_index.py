# expects: `load` is not right yet | *
# load[ids] += 1 counts a repeated expert once only
import torch


def expert_load(expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    load = torch.zeros(n_experts, dtype=torch.int64)
    for row in range(expert_ids.shape[1]):
        load[expert_ids[:, row]] += 1
    return load
