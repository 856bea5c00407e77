# expects: The sum runs over the tokens | *
# divides by the sum over the tokens (dim 0)
import torch


def two_orders(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    s = logits.softmax(dim=-1).topk(k, dim=-1).values
    if renorm:
        s = s / s.sum(dim=0, keepdim=True)
    return s, logits.topk(k, dim=-1).values.softmax(dim=-1)
