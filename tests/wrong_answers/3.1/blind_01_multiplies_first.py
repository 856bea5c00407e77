# expects: Computed in the input's type | *
# multiplies in the input dtype and casts the product afterwards
import torch


def router_scores(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    return (x @ w_router.to(x.dtype).T).float().softmax(dim=-1)
