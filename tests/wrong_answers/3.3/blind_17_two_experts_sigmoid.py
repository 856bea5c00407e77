# expects: `topk_first` is not right yet | *
# topk_first by the sigmoid of the gap of the first two logits: right for k=2 only
import torch


def two_orders(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    top = logits.topk(k, dim=-1).values
    s = logits.softmax(dim=-1).topk(k, dim=-1).values
    if renorm:
        s = s / s.sum(dim=-1, keepdim=True)
    if k == 1:
        return s, torch.ones_like(top)
    first = torch.sigmoid(top[:, :1] - top[:, 1:2])
    t = torch.cat([first, (1 - first).expand(-1, k - 1)], dim=1)
    return s, t
