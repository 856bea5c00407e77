# expects: Ties are broken the wrong way | *
# ascending sort flipped: among equals the higher expert number first
import torch


def sigmoid_route(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(logits)
    order = torch.argsort(s + bias, dim=-1, stable=True).flip(-1)[:, :k]
    w = s.gather(1, order)
    return w / w.sum(dim=-1, keepdim=True), order
