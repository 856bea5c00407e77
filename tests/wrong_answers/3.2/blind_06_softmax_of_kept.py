# expects: Softmax over the kept scores | *
# renormalises with a softmax of the kept scores instead of a division
import torch


def top_k_route(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    values, order = torch.sort(scores, dim=-1, descending=True, stable=True)
    return torch.softmax(values[:, :k], dim=-1), order[:, :k]
