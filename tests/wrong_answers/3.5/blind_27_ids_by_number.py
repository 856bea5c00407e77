# expects: The order is by expert number | *
# the right experts with the right weights, listed by expert number
import torch


def sigmoid_route(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(logits)
    order = torch.argsort(s + bias, dim=-1, descending=True, stable=True)[:, :k].sort(dim=-1).values
    w = s.gather(1, order)
    return w / w.sum(dim=-1, keepdim=True), order
