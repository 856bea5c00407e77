# expects: `weights` is not right yet | *
# divides column after column while the sum is already changing
import torch


def top_k_route(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    values, order = torch.sort(scores, dim=-1, descending=True, stable=True)
    weights = values[:, :k].clone()
    for j in range(k):
        weights[:, j] = weights[:, j] / weights.sum(dim=-1)
    return weights, order[:, :k]
