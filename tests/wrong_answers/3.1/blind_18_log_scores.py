# expects: The logarithm of the scores | *
# returns log-probabilities, whose rows do not sum to 1
import torch
import torch.nn.functional as F


def router_scores(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    return F.log_softmax(x.float() @ w_router.float().T, dim=-1)
