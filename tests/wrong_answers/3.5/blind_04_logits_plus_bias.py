# expects: The bias is added before the sigmoid | `weights` is not right yet | `expert_ids` is not right yet | *
# chooses by logit + bias without the sigmoid
import torch


def sigmoid_route(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(logits)
    order = torch.argsort(logits + bias, dim=-1, descending=True, stable=True)[:, :k]
    w = s.gather(1, order)
    return w / w.sum(dim=-1, keepdim=True), order
