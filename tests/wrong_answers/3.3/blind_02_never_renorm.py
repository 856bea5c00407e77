# expects: `renorm` is ignored | *
# ignores renorm: score_first is never divided
import torch


def two_orders(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    s = logits.softmax(dim=-1).topk(k, dim=-1).values
    t = logits.topk(k, dim=-1).values.softmax(dim=-1)
    return s, t
