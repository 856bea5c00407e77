# expects: Divided by the sum over all experts | *
# divides by the sum of all E scores instead of the chosen ones'
import torch


def sigmoid_route(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(logits)
    order = torch.argsort(s + bias, dim=-1, descending=True, stable=True)[:, :k]
    return s.gather(1, order) / s.sum(dim=-1, keepdim=True), order
