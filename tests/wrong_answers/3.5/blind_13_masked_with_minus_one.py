# expects: An expert is chosen twice | *
# k times argmax, struck out with -1: right until a bias pushes scores below -1
import torch


def sigmoid_route(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(logits)
    left = s + bias
    ids = []
    for _ in range(k):
        best = left.argmax(dim=-1, keepdim=True)
        ids.append(best)
        left = left.scatter(1, best, -1.0)
    order = torch.cat(ids, dim=1)
    w = s.gather(1, order)
    return w / w.sum(dim=-1, keepdim=True), order
