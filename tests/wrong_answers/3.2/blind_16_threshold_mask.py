# expects: `weights` is not right yet | *
# normalises over all scores >= the k-th: with a tie at the border the k weights sum to less than 1
import torch


def top_k_route(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    values, order = torch.sort(scores, dim=-1, descending=True, stable=True)
    kth = values[:, k - 1 : k]
    kept = torch.where(scores >= kth, scores, torch.zeros_like(scores))
    kept = kept / kept.sum(dim=-1, keepdim=True)
    order = order[:, :k]
    return kept.gather(1, order), order
