# expects: `load` is not right yet | *
# hard-codes K: adds the first and the last column, right for K=2 only
import torch


def expert_load(expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    load = torch.bincount(expert_ids[:, 0], minlength=n_experts)
    load = load + torch.bincount(expert_ids[:, -1], minlength=n_experts)
    return load
