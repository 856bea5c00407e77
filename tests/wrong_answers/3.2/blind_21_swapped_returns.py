# expects: `weights` and `expert_ids` have changed places | *
# returns (expert_ids, weights) in the wrong order
import torch


def top_k_route(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    values, order = torch.sort(scores, dim=-1, descending=True, stable=True)
    values = values[:, :k]
    return order[:, :k], values / values.sum(dim=-1, keepdim=True)
