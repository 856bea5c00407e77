# expects: `scores` is not right yet | *
# reshapes w_router to (D, E) instead of transposing it
import torch


def router_scores(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    e, d = w_router.shape
    return torch.softmax(x.float() @ w_router.float().reshape(d, e), dim=-1)
