# expects: Your function changed its input | *
# right result, but also runs the load-balancing update on the caller's bias in place
import torch


def sigmoid_route(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(logits)
    order = torch.argsort(s + bias, dim=-1, descending=True, stable=True)[:, :k]
    w = s.gather(1, order)
    load = torch.bincount(order.flatten(), minlength=logits.shape[1]).to(bias.dtype)
    bias.data.add_(0.001 * torch.sign(load.mean() - load))
    return w / w.sum(dim=-1, keepdim=True), order
