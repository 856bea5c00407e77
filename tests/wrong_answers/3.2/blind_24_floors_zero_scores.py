# expects: `weights` is not right yet | *
# gives zero-score experts a floor of 1e-3, so a 0 no longer weighs 0
import torch


def top_k_route(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    floored = scores.clamp(min=1e-3)
    values, order = torch.sort(floored, dim=-1, descending=True, stable=True)
    values = values[:, :k]
    return values / values.sum(dim=-1, keepdim=True), order[:, :k]
