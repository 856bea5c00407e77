# expects: Softmax over the tokens | *
# softmax over the tokens (dim 0): the columns sum to 1, not the rows
import torch


def router_scores(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    return torch.softmax(x.float() @ w_router.float().T, dim=0)
