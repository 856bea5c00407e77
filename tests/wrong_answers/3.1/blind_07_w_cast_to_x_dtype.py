# expects: Computed in the input's type | *
# casts w_router to x's dtype before casting to float32, losing its precision when x is narrower
import torch


def router_scores(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    w = w_router.to(x.dtype)
    logits = x.float() @ w.float().T
    return logits.softmax(dim=1)
