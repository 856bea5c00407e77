# expects: Dropped logits were set to 0
import torch


def two_orders(logits, k, renorm):
    kept, ids = logits.topk(k)
    score_first = logits.softmax(dim=-1).gather(1, ids)
    if renorm:
        score_first = score_first / score_first.sum(dim=-1, keepdim=True)
    masked = torch.zeros_like(logits).scatter(1, ids, kept)
    return score_first, masked.softmax(dim=-1).gather(1, ids)
