# expects: `combine` has the wrong type | *
# float32 one-hots promote float16 and bfloat16 weights to float32; float64 comes out right
import torch
import torch.nn.functional as F


def combine_matrix(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    one_hot = F.one_hot(expert_ids, n_experts).float()
    return torch.einsum(
        "nk,nke->ne",
        weights.to(torch.promote_types(weights.dtype, torch.float32)),
        one_hot.to(torch.promote_types(weights.dtype, torch.float32)),
    )
