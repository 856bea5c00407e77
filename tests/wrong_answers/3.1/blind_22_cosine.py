# expects: Lengths were divided out | *
# normalises every token and expert vector first (cosine similarity)
import torch
import torch.nn.functional as F


def router_scores(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    logits = F.normalize(x.float(), dim=-1) @ F.normalize(w_router.float(), dim=-1).T
    return logits.softmax(dim=-1)
