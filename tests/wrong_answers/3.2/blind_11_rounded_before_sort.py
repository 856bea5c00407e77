# expects: `weights` is not right yet | *
# rounds to 3 decimals before sorting, which makes ties that are not there
import torch


def top_k_route(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    order = torch.argsort(torch.round(scores, decimals=3), dim=-1, descending=True, stable=True)[:, :k]
    weights = scores.gather(1, order)
    return weights / weights.sum(dim=-1, keepdim=True), order
