# expects: `renorm` belongs to `score_first` only | *
# topk_first follows renorm too: without it, it is the full softmax's values
import torch


def two_orders(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    scores = logits.softmax(dim=-1)
    s = scores.topk(k, dim=-1).values
    t = logits.topk(k, dim=-1).values.softmax(dim=-1)
    if renorm:
        return s / s.sum(dim=-1, keepdim=True), t
    return s, s.clone()
