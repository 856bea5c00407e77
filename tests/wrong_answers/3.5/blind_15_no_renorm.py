# expects: The weights are not renormalised | *
# forgets the division by the sum
import torch


def sigmoid_route(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(logits)
    order = torch.argsort(s + bias, dim=-1, descending=True, stable=True)[:, :k]
    return s.gather(1, order), order
