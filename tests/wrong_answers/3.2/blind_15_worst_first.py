# expects: The order is worst first | *
# the right k experts, worst of them first
import torch


def top_k_route(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    values, order = torch.sort(scores, dim=-1, descending=True, stable=True)
    values, order = values[:, :k].flip(-1), order[:, :k].flip(-1)
    return values / values.sum(dim=-1, keepdim=True), order
