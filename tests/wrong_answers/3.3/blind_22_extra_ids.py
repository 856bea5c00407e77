# expects: Wrong number of results | *
# returns the expert ids too: three tensors instead of two
import torch


def two_orders(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    t, ids = logits.topk(k, dim=-1)
    s = logits.softmax(dim=-1).gather(1, ids)
    if renorm:
        s = s / s.sum(dim=-1, keepdim=True)
    return s, t.softmax(dim=-1), ids
