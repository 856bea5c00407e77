# expects: `weights` is not right yet | *
# sorts the weights descending but leaves the ids in the biased order
import torch


def sigmoid_route(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(logits)
    order = torch.argsort(s + bias, dim=-1, descending=True, stable=True)[:, :k]
    w = s.gather(1, order).sort(dim=-1, descending=True).values
    return w / w.sum(dim=-1, keepdim=True), order
