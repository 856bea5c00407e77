# expects: Ties are broken the wrong way | *
# among equal score + bias the larger score goes first, instead of the lower expert number
import torch


def sigmoid_route(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(logits)
    by_score = torch.argsort(s, dim=-1, descending=True, stable=True)
    biased = (s + bias).gather(1, by_score)
    again = torch.argsort(biased, dim=-1, descending=True, stable=True)[:, :k]
    order = by_score.gather(1, again)
    w = s.gather(1, order)
    return w / w.sum(dim=-1, keepdim=True), order
