# expects: `renorm` is ignored | *
# divides by the sum over all E scores (which is 1): renorm does nothing
import torch


def two_orders(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    scores = logits.softmax(dim=-1)
    s = scores.topk(k, dim=-1).values
    if renorm:
        s = s / scores.sum(dim=-1, keepdim=True)
    return s, logits.topk(k, dim=-1).values.softmax(dim=-1)
