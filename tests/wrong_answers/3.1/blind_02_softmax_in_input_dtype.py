# expects: Computed in the input's type | *
# product and softmax in the input dtype, cast to float32 at the very end
import torch


def router_scores(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    return torch.softmax(x @ w_router.to(x.dtype).T, dim=-1).float()
