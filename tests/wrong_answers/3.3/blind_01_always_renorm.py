# expects: `score_first` is always renormalised | *
# ignores renorm: score_first is always divided by its sum
import torch


def two_orders(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    s = logits.softmax(dim=-1).topk(k, dim=-1).values
    t = logits.topk(k, dim=-1).values.softmax(dim=-1)
    return s / s.sum(dim=-1, keepdim=True), t
