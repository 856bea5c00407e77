# expects: `load` is not right yet | *
# counts in float16, where 2048 + 1 is 2048, so a busy expert stops at 2048
import torch


def expert_load(expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    load = torch.zeros(n_experts, dtype=torch.float16)
    flat = expert_ids.reshape(-1)
    load.index_add_(0, flat, torch.ones(flat.shape[0], dtype=torch.float16))
    return load.long()
