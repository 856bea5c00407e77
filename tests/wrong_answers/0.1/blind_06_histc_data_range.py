# expects: `load` is not right yet | *
# histc over the data's own range: right only if experts 0 and E-1 were both chosen
import torch


def expert_load(expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    return torch.histc(expert_ids.float(), bins=n_experts).long()
