# expects: Computed in the input's type | *
# upcasts float16 only; bfloat16 is still multiplied in bfloat16
import torch


def router_scores(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    if x.dtype == torch.float16:
        x = x.float()
    logits = x @ w_router.to(x.dtype).T
    return torch.softmax(logits, dim=-1, dtype=torch.float32)
