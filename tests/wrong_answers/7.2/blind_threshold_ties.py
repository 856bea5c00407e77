# expects: *
import torch


def keep_best(weights, expert_ids, capacity):
    out = torch.zeros_like(weights)
    if capacity <= 0:
        return weights * 0
    for e in expert_ids.unique().tolist():
        mine = expert_ids == e
        vals = weights[mine]
        c = min(capacity, vals.numel())
        threshold = vals.detach().topk(c).values[-1]
        out = torch.where(mine & (weights >= threshold), weights, out)
    return out
