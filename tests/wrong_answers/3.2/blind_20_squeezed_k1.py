# expects: Wrong shape | *
# squeezes the results, so k=1 (or one token) loses a dimension
import torch


def top_k_route(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    values, order = torch.sort(scores, dim=-1, descending=True, stable=True)
    values = values[:, :k] / values[:, :k].sum(dim=-1, keepdim=True)
    return values.squeeze(), order[:, :k].squeeze()
