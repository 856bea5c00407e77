# expects: Softmax over the tokens | *
# score_first's softmax runs over the tokens (dim 0)
import torch


def two_orders(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    ids = logits.topk(k, dim=-1).indices
    s = logits.softmax(dim=0).gather(1, ids)
    if renorm:
        s = s / s.sum(dim=-1, keepdim=True)
    return s, logits.gather(1, ids).softmax(dim=-1)
