# expects: Your function changed its input | *
# right counts, but sorts the caller's expert_ids in place on the way
import torch


def expert_load(expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    flat = expert_ids.view(-1)
    flat.copy_(flat.sort().values)
    edges = torch.searchsorted(flat, torch.arange(n_experts + 1))
    return edges[1:] - edges[:-1]
