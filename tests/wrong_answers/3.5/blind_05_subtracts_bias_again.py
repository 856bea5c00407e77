# expects: `weights` is not right yet | *
# takes the bias off again after choosing: with a large bias the score is lost to rounding
import torch


def sigmoid_route(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    biased = torch.sigmoid(logits) + bias
    values, order = torch.sort(biased, dim=-1, descending=True, stable=True)
    order = order[:, :k]
    w = values[:, :k] - bias[order]
    return w / w.sum(dim=-1, keepdim=True), order
