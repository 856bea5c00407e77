# expects: `exp` overflows | *
# exp(x) / (1 + exp(x)): nan for logits above 88
import torch


def sigmoid_route(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    e = torch.exp(logits)
    s = e / (1 + e)
    order = torch.argsort(s + bias, dim=-1, descending=True, stable=True)[:, :k]
    w = s.gather(1, order)
    return w / w.sum(dim=-1, keepdim=True), order
