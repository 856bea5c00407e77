# expects: `scores` is not right yet | *
# adds eps to the sum of unshifted exps: rows of very negative logits do not sum to 1
import torch


def router_scores(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    logits = x.float() @ w_router.float().T
    e = torch.exp(logits.clamp(max=80))
    return e / (e.sum(dim=-1, keepdim=True) + 1e-6)
