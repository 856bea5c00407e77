# expects: No gradient reaches `weights`
import torch


def keep_best(weights, expert_ids, capacity):
    n, k = expert_ids.shape
    flat_w = weights.detach().reshape(-1)
    flat_e = expert_ids.reshape(-1)
    out = torch.zeros_like(flat_w)
    order = torch.argsort(flat_w, descending=True, stable=True)
    used = {}
    for i in order.tolist():
        e = int(flat_e[i])
        if used.get(e, 0) < capacity:
            out[i] = flat_w[i]
            used[e] = used.get(e, 0) + 1
    return out.view(n, k)
