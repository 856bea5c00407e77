# expects: `score_first` is not right yet | *
# softmax and sum over k + 1 experts, then cut to k (right when k == E)
import torch


def two_orders(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    m = min(k + 1, logits.shape[1])
    s = logits.softmax(dim=-1).topk(m, dim=-1).values
    if renorm:
        s = s / s.sum(dim=-1, keepdim=True)
    t = logits.topk(m, dim=-1).values.softmax(dim=-1)
    return s[:, :k], t[:, :k]
