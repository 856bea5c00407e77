# expects: The order is by expert number | *
# keeps the chosen weights in the order of the experts instead of best first
import torch


def two_orders(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    ids = logits.topk(k, dim=-1).indices.sort(dim=-1).values
    s = logits.softmax(dim=-1).gather(1, ids)
    if renorm:
        s = s / s.sum(dim=-1, keepdim=True)
    return s, logits.gather(1, ids).softmax(dim=-1)
