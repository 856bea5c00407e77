# expects: Two shapes do not fit | *
# adds the bias as a column (one value a token): crashes unless N == E, wrong when N == E
import torch


def sigmoid_route(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(logits)
    order = torch.argsort(s + bias.unsqueeze(1), dim=-1, descending=True, stable=True)[:, :k]
    w = s.gather(1, order)
    return w / w.sum(dim=-1, keepdim=True), order
