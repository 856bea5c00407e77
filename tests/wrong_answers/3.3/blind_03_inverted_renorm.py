# expects: `renorm` is the wrong way round | *
# renormalises when renorm is False
import torch


def two_orders(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    s = logits.softmax(dim=-1).topk(k, dim=-1).values
    if not renorm:
        s = s / s.sum(dim=-1, keepdim=True)
    return s, logits.topk(k, dim=-1).values.softmax(dim=-1)
