# expects: `scores` is not right yet | *
# rounds the scores to 4 decimals, so rows sum to 1 only roughly
import torch


def router_scores(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    scores = torch.softmax(x.float() @ w_router.float().T, dim=-1)
    return torch.round(scores, decimals=4)
