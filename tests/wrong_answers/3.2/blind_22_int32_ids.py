# expects: `expert_ids` has the wrong type | *
# ids in int32 instead of int64
import torch


def top_k_route(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    values, order = torch.sort(scores, dim=-1, descending=True, stable=True)
    values = values[:, :k]
    return values / values.sum(dim=-1, keepdim=True), order[:, :k].to(torch.int32)
