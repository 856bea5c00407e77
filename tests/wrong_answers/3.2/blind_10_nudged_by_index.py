# expects: `weights` is not right yet | *
# breaks ties by subtracting 1e-4 * expert number, which also swaps scores that are close but not equal
import torch


def top_k_route(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    nudged = scores - 1e-4 * torch.arange(scores.shape[1], dtype=scores.dtype)
    expert_ids = nudged.topk(k, dim=-1).indices
    weights = scores.gather(1, expert_ids)
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids
