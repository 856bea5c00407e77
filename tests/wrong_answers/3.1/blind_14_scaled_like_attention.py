# expects: Logits are divided by √D | *
# divides the logits by sqrt(D), as attention does
import torch


def router_scores(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    d = x.shape[-1]
    logits = x.float() @ w_router.float().T / d**0.5
    return logits.softmax(dim=-1)
