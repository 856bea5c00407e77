# expects: Your function changed its input
import torch


def top_k_route(scores, k):
    rows = torch.arange(len(scores))
    weights, expert_ids = [], []
    for _ in range(k):
        best = scores.argmax(dim=-1)
        weights.append(scores[rows, best])
        expert_ids.append(best)
        scores[rows, best] = -1.0
    weights = torch.stack(weights, dim=-1)
    return weights / weights.sum(dim=-1, keepdim=True), torch.stack(expert_ids, dim=-1)
