# expects: Divided by the sum over all experts | *
# divides by the sum of all E scores, so the kept weights sum to less than 1
import torch


def top_k_route(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    values, order = torch.sort(scores, dim=-1, descending=True, stable=True)
    values = values[:, :k]
    return values / scores.sum(dim=-1, keepdim=True), order[:, :k]
