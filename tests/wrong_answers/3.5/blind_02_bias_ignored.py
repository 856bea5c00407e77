# expects: The bias is ignored | *
# chooses by the score alone, bias is never used
import torch


def sigmoid_route(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(logits)
    values, order = torch.sort(s, dim=-1, descending=True, stable=True)
    w = values[:, :k]
    return w / w.sum(dim=-1, keepdim=True), order[:, :k]
