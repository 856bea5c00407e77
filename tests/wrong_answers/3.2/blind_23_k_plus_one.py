# expects: An index is too large | *
# looks one place past the k-th for ties: crashes when k == E, else right
import torch


def top_k_route(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    values, order = torch.sort(scores, dim=-1, descending=True, stable=True)
    border_tie = values[:, k] == values[:, k - 1]
    if border_tie.any():
        order = torch.argsort(-scores, dim=-1, stable=True)
    weights = scores.gather(1, order[:, :k])
    return weights / weights.sum(dim=-1, keepdim=True), order[:, :k]
