# expects: The bias is added before the sigmoid | *
# adds the bias to the logits: chooses by sigmoid(logits + bias)
import torch


def sigmoid_route(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(logits)
    order = torch.argsort(torch.sigmoid(logits + bias), dim=-1, descending=True, stable=True)[:, :k]
    w = s.gather(1, order)
    return w / w.sum(dim=-1, keepdim=True), order
