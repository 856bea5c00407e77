# expects: The scores keep the input's type | *
# float32 inside, but the result goes back to the dtype of x
import torch


def router_scores(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    logits = x.float() @ w_router.float().T
    return logits.softmax(dim=-1).to(x.dtype)
