# expects: `score_first` is not right yet | *
# divides by the batch's mean sum instead of each row's own: rows sum to 1 only on average
import torch


def two_orders(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    s = logits.softmax(dim=-1).topk(k, dim=-1).values
    if renorm:
        s = s / s.sum(dim=-1).mean()
    return s, logits.topk(k, dim=-1).values.softmax(dim=-1)
