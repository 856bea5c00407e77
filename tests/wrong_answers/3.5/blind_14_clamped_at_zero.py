# expects: `weights` is not right yet | *
# clamps score + bias to [0, 1] before choosing, which makes ties at both ends
import torch


def sigmoid_route(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(logits)
    order = torch.argsort((s + bias).clamp(0, 1), dim=-1, descending=True, stable=True)[:, :k]
    w = s.gather(1, order)
    return w / w.sum(dim=-1, keepdim=True), order
