# expects: `exp` overflows | *
# subtracts the maximum of the whole matrix, so a row far below it underflows to 0/0
import torch


def router_scores(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    logits = x.float() @ w_router.float().T
    e = torch.exp(logits - logits.max())
    return e / e.sum(dim=-1, keepdim=True)
