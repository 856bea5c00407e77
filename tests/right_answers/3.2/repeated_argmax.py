import torch


def top_k_route(scores, k):
    left, expert_ids = scores.clone().detach(), []
    for _ in range(k):
        best = torch.stack([(row == row.max()).nonzero()[0, 0] for row in left])
        left[torch.arange(len(left)), best] = -1.0
        expert_ids.append(best)
    expert_ids = torch.stack(expert_ids, dim=1)
    weights = torch.gather(scores, 1, expert_ids)
    return torch.div(weights, weights.sum(1).unsqueeze(1)), expert_ids
