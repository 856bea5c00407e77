# expects: All E columns come back | *
# topk_first comes back as an (N, E) matrix with zeros instead of (N, k)
import torch


def two_orders(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    s = logits.softmax(dim=-1).topk(k, dim=-1).values
    if renorm:
        s = s / s.sum(dim=-1, keepdim=True)
    ids = logits.topk(k, dim=-1).indices
    mask = torch.full_like(logits, float("-inf")).scatter(1, ids, 0.0)
    return s, (logits + mask).softmax(dim=-1)
