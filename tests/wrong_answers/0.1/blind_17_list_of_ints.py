# expects: Not a tensor | *
# returns a Python list instead of a tensor
import torch


def expert_load(expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    return [int((expert_ids == e).sum()) for e in range(n_experts)]
