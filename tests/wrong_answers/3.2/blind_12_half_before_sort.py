# expects: `weights` is not right yet | *
# sorts in bfloat16 to save time, so close scores count as equal
import torch


def top_k_route(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    order = torch.argsort(scores.bfloat16(), dim=-1, descending=True, stable=True)[:, :k]
    weights = scores.gather(1, order)
    return weights / weights.sum(dim=-1, keepdim=True), order
