# expects: `load` is not right yet | *
# numbers the experts from 1 to E, so expert 0 is lost and the list ends in a 0
import torch


def expert_load(expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    return torch.stack([(expert_ids == e).sum() for e in range(1, n_experts + 1)])
