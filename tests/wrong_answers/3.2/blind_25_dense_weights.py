# expects: A full row of weights comes back | *
# returns the weights as an (N, E) matrix instead of (N, k)
import torch


def top_k_route(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    order = torch.argsort(scores, dim=-1, descending=True, stable=True)[:, :k]
    mask = torch.zeros_like(scores).scatter(1, order, 1.0)
    kept = scores * mask
    return kept / kept.sum(dim=-1, keepdim=True), order
