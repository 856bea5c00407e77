import torch


def two_orders(logits, k, renorm):
    values, ids = torch.topk(logits, k, dim=-1)
    masked = torch.full_like(logits, -torch.inf).scatter(-1, ids, values)
    topk_first = torch.softmax(masked, dim=-1).gather(-1, ids)
    score_first = topk_first if renorm else torch.softmax(logits, dim=-1).gather(-1, ids)
    return score_first, topk_first
