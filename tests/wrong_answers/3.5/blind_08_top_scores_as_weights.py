# expects: `weights` is not right yet | *
# weights are the k largest scores of the row, not the scores of the chosen experts
import torch


def sigmoid_route(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(logits)
    order = torch.argsort(s + bias, dim=-1, descending=True, stable=True)[:, :k]
    w = s.sort(dim=-1, descending=True).values[:, :k]
    return w / w.sum(dim=-1, keepdim=True), order
