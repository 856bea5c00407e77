# expects: The order is worst first | *
# sorts ascending: best expert last
import torch


def two_orders(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    top = logits.sort(dim=-1).values[:, -k:]
    s = logits.softmax(dim=-1).sort(dim=-1).values[:, -k:]
    if renorm:
        s = s / s.sum(dim=-1, keepdim=True)
    return s, top.softmax(dim=-1)
