# expects: Two types do not fit | *
# casts x only: crashes when w_router is not float32
import torch


def router_scores(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    return torch.softmax(x.float() @ w_router.T, dim=-1)
