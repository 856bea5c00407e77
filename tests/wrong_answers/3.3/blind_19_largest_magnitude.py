# expects: `topk_first` is not right yet | *
# takes the k logits largest in magnitude: right for positive logits only
import torch


def two_orders(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    ids = logits.abs().topk(k, dim=-1).indices
    top = logits.gather(1, ids).sort(dim=-1, descending=True).values
    s = logits.softmax(dim=-1).topk(k, dim=-1).values
    if renorm:
        s = s / s.sum(dim=-1, keepdim=True)
    return s, top.softmax(dim=-1)
