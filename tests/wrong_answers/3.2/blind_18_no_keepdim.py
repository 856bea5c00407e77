# expects: Two shapes do not fit | *
# sum without keepdim: divides by another token's sum when N == k, crashes otherwise (unless N or k is 1)
import torch


def top_k_route(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    values, order = torch.sort(scores, dim=-1, descending=True, stable=True)
    values = values[:, :k]
    return values / values.sum(dim=-1), order[:, :k]
