# expects: `weights` is not right yet | *
# adds 1e-6 to the sum: rows of tiny scores do not sum to 1
import torch


def top_k_route(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    values, order = torch.sort(scores, dim=-1, descending=True, stable=True)
    values = values[:, :k]
    return values / (values.sum(dim=-1, keepdim=True) + 1e-6), order[:, :k]
