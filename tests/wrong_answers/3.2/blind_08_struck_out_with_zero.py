# expects: An expert is chosen twice | *
# k times argmax, the chosen struck out with 0: a row with fewer than k positive scores names an expert twice
import torch


def top_k_route(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    left = scores.clone()
    rows = torch.arange(scores.shape[0])
    ids = []
    for _ in range(k):
        best = left.argmax(dim=-1)
        ids.append(best)
        left[rows, best] = 0.0
    expert_ids = torch.stack(ids, dim=1)
    weights = scores.gather(1, expert_ids)
    for j in range(1, k):
        again = (expert_ids[:, :j] == expert_ids[:, j : j + 1]).any(dim=1)
        weights[again, j] = 0.0
    return weights / weights.sum(dim=1, keepdim=True), expert_ids
