# expects: Not a tensor | *
# goes through numpy and returns arrays instead of tensors (the gradient is gone as well)
import torch


def sigmoid_route(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(logits).detach()
    order = torch.argsort(s + bias.detach(), dim=-1, descending=True, stable=True)[:, :k]
    w = s.gather(1, order)
    return (w / w.sum(dim=-1, keepdim=True)).numpy(), order.numpy()
