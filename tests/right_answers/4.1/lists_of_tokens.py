import torch


def moe_loop(x, weights, expert_ids, experts):
    rows = [torch.zeros_like(row) for row in x]
    for number, expert in enumerate(experts):
        found = [(n, ids.index(number)) for n, ids in enumerate(expert_ids.tolist()) if number in ids]
        if found:
            for (n, j), answer in zip(found, expert(torch.stack([x[n] for n, _ in found])), strict=True):
                rows[n] = rows[n] + weights[n, j] * answer
    return torch.stack(rows)
