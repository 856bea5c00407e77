# expects: Sigmoid, then divided by its sum | *
# normalised sigmoids instead of a softmax
import torch


def router_scores(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    s = torch.sigmoid(x.float() @ w_router.float().T)
    return s / s.sum(dim=-1, keepdim=True)
