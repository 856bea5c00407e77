# expects: `topk_first` is not right yet | *
# topk_first: masks with -50 instead of -inf, wrong once the logits themselves are that low
import torch


def two_orders(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    values, ids = logits.topk(k, dim=-1)
    s = logits.softmax(dim=-1).gather(1, ids)
    if renorm:
        s = s / s.sum(dim=-1, keepdim=True)
    masked = torch.full_like(logits, -50.0).scatter(1, ids, values)
    return s, masked.softmax(dim=-1).gather(1, ids)
