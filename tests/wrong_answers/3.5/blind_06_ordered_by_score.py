# expects: Ordered by weight | *
# right k experts, but reordered by their score without the bias
import torch


def sigmoid_route(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(logits)
    order = torch.argsort(s + bias, dim=-1, descending=True, stable=True)[:, :k]
    w, again = torch.sort(s.gather(1, order), dim=-1, descending=True, stable=True)
    return w / w.sum(dim=-1, keepdim=True), order.gather(1, again)
