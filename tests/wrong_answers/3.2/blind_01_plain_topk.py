# expects: Ties are broken the wrong way | *
# torch.topk promises no order among equal scores
import torch


def top_k_route(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    values, expert_ids = torch.topk(scores, k, dim=-1)
    return values / values.sum(dim=-1, keepdim=True), expert_ids
