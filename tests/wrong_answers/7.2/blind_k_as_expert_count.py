# expects: *
import torch


def keep_best(weights, expert_ids, capacity):
    n, k = expert_ids.shape
    flat_w = weights.reshape(-1)
    flat_e = expert_ids.reshape(-1)
    keep = torch.zeros(n * k, dtype=torch.bool, device=weights.device)
    for e in range(k):
        where = (flat_e == e).nonzero(as_tuple=True)[0]
        order = torch.argsort(flat_w[where].detach(), descending=True, stable=True)
        keep[where[order[:capacity]]] = True
    return weights * keep.view(n, k).to(weights.dtype)
