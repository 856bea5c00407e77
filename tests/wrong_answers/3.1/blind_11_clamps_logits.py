# expects: `scores` is not right yet | *
# clamps the logits to [-30, 30] for safety, which flattens large ones
import torch


def router_scores(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    logits = (x.float() @ w_router.float().T).clamp(-30, 30)
    return logits.softmax(dim=-1)
