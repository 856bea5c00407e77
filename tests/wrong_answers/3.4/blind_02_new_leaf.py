# expects: No gradient reaches `weights` | *
# asks for requires_grad on the result: it looks trainable, but is a new leaf that never reaches weights
import torch


def combine_matrix(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    n, k = weights.shape
    combine = torch.zeros(n, n_experts, dtype=weights.dtype)
    for i in range(n):
        for j in range(k):
            combine[i, expert_ids[i, j]] = weights[i, j].item()
    return combine.requires_grad_()
