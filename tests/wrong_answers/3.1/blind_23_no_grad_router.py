# expects: No gradient reaches `x` | *
# right values, but w_router and x are detached, so the router could never learn
import torch


def router_scores(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return torch.softmax(x.float() @ w_router.float().T, dim=-1)
