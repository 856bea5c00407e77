# expects: `topk_first` takes the softmax of scores | *
# topk_first is the softmax of the k largest scores, not of the k largest logits
import torch


def two_orders(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    s = logits.softmax(dim=-1).topk(k, dim=-1).values
    t = s.softmax(dim=-1)
    if renorm:
        s = s / s.sum(dim=-1, keepdim=True)
    return s, t
