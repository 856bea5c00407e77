# expects: `weights` is not right yet | *
# skips the division for k = 1, where the weight should be 1
import torch


def sigmoid_route(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(logits)
    order = torch.argsort(s + bias, dim=-1, descending=True, stable=True)[:, :k]
    w = s.gather(1, order)
    if k > 1:
        w = w / w.sum(dim=-1, keepdim=True)
    return w, order
