# expects: `renorm` is another softmax | *
# renormalises score_first with a second softmax instead of a division
import torch


def two_orders(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    s = logits.softmax(dim=-1).topk(k, dim=-1).values
    if renorm:
        s = s.softmax(dim=-1)
    return s, logits.topk(k, dim=-1).values.softmax(dim=-1)
