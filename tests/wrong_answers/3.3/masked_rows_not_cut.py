# expects: All E columns come back
import torch


def two_orders(logits, k, renorm):
    kept, ids = logits.topk(k)
    score_first = logits.softmax(dim=-1).gather(1, ids)
    if renorm:
        score_first = score_first / score_first.sum(dim=-1, keepdim=True)
    return score_first, torch.full_like(logits, float("-inf")).scatter(1, ids, kept).softmax(dim=-1)
