# expects: The scores keep the input's type | *
# casts only the half dtypes, so float64 inputs give float64 scores
import torch


def router_scores(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    if x.dtype in (torch.float16, torch.bfloat16):
        x = x.float()
    if w_router.dtype in (torch.float16, torch.bfloat16):
        w_router = w_router.float()
    if x.dtype != w_router.dtype:
        x, w_router = x.double(), w_router.double()
    return torch.softmax(x @ w_router.T, dim=-1)
