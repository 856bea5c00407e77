# expects: `score_first` and `topk_first` have changed places | *
# returns (topk_first, score_first): the two look alike when renorm is True
import torch


def two_orders(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    s = logits.softmax(dim=-1).topk(k, dim=-1).values
    t = logits.topk(k, dim=-1).values.softmax(dim=-1)
    if renorm:
        s = s / s.sum(dim=-1, keepdim=True)
    return t, s
