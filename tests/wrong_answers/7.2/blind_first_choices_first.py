# expects: *
import torch


def keep_best(weights, expert_ids, capacity):
    n, k = expert_ids.shape
    used = {}
    mask = torch.zeros_like(weights, requires_grad=False)
    for j in range(k):
        order = torch.argsort(weights[:, j].detach(), descending=True, stable=True)
        for i in order.tolist():
            e = int(expert_ids[i, j])
            if used.get(e, 0) < capacity:
                mask[i, j] = 1.0
                used[e] = used.get(e, 0) + 1
    return weights * mask
