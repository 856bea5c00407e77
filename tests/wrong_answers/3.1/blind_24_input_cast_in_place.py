# expects: Your function changed its input | *
# right scores, but changes the caller's tensors to float32 through .data
import torch


def router_scores(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    x.data = x.data.float()
    w_router.data = w_router.data.float()
    return torch.softmax(x @ w_router.T, dim=-1)
