# expects: Your function changed its input | *
# k times argmax, striking the chosen out in the caller's own scores
import torch


def top_k_route(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    rows = torch.arange(scores.shape[0])
    values, ids = [], []
    for _ in range(k):
        best = scores.argmax(dim=-1)
        values.append(scores[rows, best].clone())
        ids.append(best)
        scores[rows, best] = -1.0
    weights = torch.stack(values, dim=1)
    return weights / weights.sum(dim=1, keepdim=True), torch.stack(ids, dim=1)
