# expects: Wrong shape | *
# squeezes the product: a single token gives (E,) instead of (1, E)
import torch


def router_scores(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    logits = (x.float() @ w_router.float().T).squeeze()
    return torch.softmax(logits, dim=-1)
