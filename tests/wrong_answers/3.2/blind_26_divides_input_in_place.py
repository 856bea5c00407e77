# expects: Your function changed its input | *
# renormalises the input in place first (scores /= row sum), then sorts: right answer, changed input
import torch


def top_k_route(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    scores /= scores.sum(dim=-1, keepdim=True)
    values, order = torch.sort(scores, dim=-1, descending=True, stable=True)
    values = values[:, :k]
    return values / values.sum(dim=-1, keepdim=True), order[:, :k]
