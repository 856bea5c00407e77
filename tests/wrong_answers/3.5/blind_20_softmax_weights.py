# expects: Softmax, not sigmoid | *
# chooses rightly, weighs by a softmax over the chosen logits
import torch


def sigmoid_route(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(logits)
    order = torch.argsort(s + bias, dim=-1, descending=True, stable=True)[:, :k]
    return torch.softmax(logits.gather(1, order), dim=-1), order
