# expects: `score_first` is not right yet | *
# skips the renormalisation for k = 1 (as some model code does), where the weight should be 1
import torch


def two_orders(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    s = logits.softmax(dim=-1).topk(k, dim=-1).values
    if k > 1 and renorm:
        s = s / s.sum(dim=-1, keepdim=True)
    return s, logits.topk(k, dim=-1).values.softmax(dim=-1)
