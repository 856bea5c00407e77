# expects: `score_first` is not right yet | *
# uses the first token's k best experts for every token
import torch


def two_orders(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    ids = logits[0].topk(k).indices
    s = logits.softmax(dim=-1)[:, ids]
    if renorm:
        s = s / s.sum(dim=-1, keepdim=True)
    return s, logits[:, ids].softmax(dim=-1)
