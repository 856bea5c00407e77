# expects: Wrong shape | *
# ignores k and always returns the two best
import torch


def top_k_route(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    values, order = torch.sort(scores, dim=-1, descending=True, stable=True)
    values, order = values[:, :2], order[:, :2]
    return values / values.sum(dim=-1, keepdim=True), order
