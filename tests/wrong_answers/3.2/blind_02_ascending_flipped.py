# expects: Ties are broken the wrong way | *
# stable ascending sort, then flipped: among equals the higher expert number comes first
import torch


def top_k_route(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    values, order = torch.sort(scores, dim=-1, stable=True)
    values, order = values.flip(-1)[:, :k], order.flip(-1)[:, :k]
    return values / values.sum(dim=-1, keepdim=True), order
