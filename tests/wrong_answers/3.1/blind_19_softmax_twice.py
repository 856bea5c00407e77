# expects: Softmax was applied twice | *
# softmax applied twice: rows sum to 1, same order, but flattened
import torch
import torch.nn.functional as F


def router_scores(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    scores = torch.softmax(x.float() @ w_router.float().T, dim=-1)
    return F.softmax(scores, dim=-1)
