# expects: The order is by expert number | *
# returns the chosen experts by number instead of best first
import torch


def top_k_route(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    order = torch.argsort(scores, dim=-1, descending=True, stable=True)[:, :k]
    order = order.sort(dim=-1).values
    weights = scores.gather(1, order)
    return weights / weights.sum(dim=-1, keepdim=True), order
