# expects: `weights` is not right yet | *
# scales the scores by (1 + bias) instead of adding the bias
import torch


def sigmoid_route(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(logits)
    order = torch.argsort(s * (1 + bias), dim=-1, descending=True, stable=True)[:, :k]
    w = s.gather(1, order)
    return w / w.sum(dim=-1, keepdim=True), order
