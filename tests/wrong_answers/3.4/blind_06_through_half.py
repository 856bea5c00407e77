# expects: `combine` is not right yet | *
# passes through bfloat16 on the way, so the weights come back rounded
import torch
import torch.nn.functional as F


def combine_matrix(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    one_hot = F.one_hot(expert_ids, n_experts).to(torch.bfloat16)
    return (one_hot * weights.to(torch.bfloat16).unsqueeze(-1)).sum(dim=1).to(weights.dtype)
