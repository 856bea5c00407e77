# expects: Weights and experts do not belong together | *
# sorts the ids by number and leaves the weights best first: they no longer belong together
import torch


def top_k_route(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    values, order = torch.sort(scores, dim=-1, descending=True, stable=True)
    values, order = values[:, :k], order[:, :k]
    return values / values.sum(dim=-1, keepdim=True), order.sort(dim=-1).values
