# expects: The bias is in the sum | *
# scores without the bias, but divided by the sum with the bias
import torch


def sigmoid_route(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(logits)
    values, order = torch.sort(s + bias, dim=-1, descending=True, stable=True)
    w = s.gather(1, order[:, :k])
    return w / values[:, :k].sum(dim=-1, keepdim=True), order[:, :k]
