# expects: Dropped logits were set to 0 | *
# topk_first: sets the other logits to 0 instead of -inf before the softmax
import torch


def two_orders(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    values, ids = logits.topk(k, dim=-1)
    s = logits.softmax(dim=-1).gather(1, ids)
    if renorm:
        s = s / s.sum(dim=-1, keepdim=True)
    masked = torch.zeros_like(logits).scatter(1, ids, values)
    return s, masked.softmax(dim=-1).gather(1, ids)
