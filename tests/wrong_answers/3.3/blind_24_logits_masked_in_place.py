# expects: Your function changed its input | *
# right weights, but overwrites the caller's logits with -inf outside the top k
import torch


def two_orders(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    scores = logits.softmax(dim=-1)
    s, ids = scores.topk(k, dim=-1)
    if renorm:
        s = s / s.sum(dim=-1, keepdim=True)
    ids = logits.topk(k, dim=-1).indices
    drop = torch.ones_like(logits, dtype=torch.bool).scatter(1, ids, False)
    logits.masked_fill_(drop, float("-inf"))
    return s, logits.softmax(dim=-1).gather(1, ids)
