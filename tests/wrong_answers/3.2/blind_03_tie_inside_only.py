# expects: Ties are broken the wrong way | *
# mends the order of ties among the experts topk chose, but topk may have chosen the wrong one of two equals at the border
import torch


def top_k_route(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    expert_ids = torch.topk(scores, k, dim=-1).indices.sort(dim=-1).values
    values = scores.gather(1, expert_ids)
    values, order = torch.sort(values, dim=-1, descending=True, stable=True)
    return values / values.sum(dim=-1, keepdim=True), expert_ids.gather(1, order)
