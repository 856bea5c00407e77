# expects: Ties are broken the wrong way | *
# torch.topk promises no order among equals
import torch


def sigmoid_route(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(logits)
    order = torch.topk(s + bias, k, dim=-1).indices
    w = s.gather(1, order)
    return w / w.sum(dim=-1, keepdim=True), order
