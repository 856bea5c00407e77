# expects: `weights` is not right yet | *
# adds 1e-6 to the sum: rows of very negative logits do not sum to 1
import torch


def sigmoid_route(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(logits)
    order = torch.argsort(s + bias, dim=-1, descending=True, stable=True)[:, :k]
    w = s.gather(1, order)
    return w / (w.sum(dim=-1, keepdim=True) + 1e-6), order
