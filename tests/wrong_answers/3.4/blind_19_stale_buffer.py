# expects: Not 0 where nothing was chosen | *
# reuses a global buffer: a second call of the same shape still holds the first call's weights
import torch

BUFFERS = {}


def combine_matrix(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    key = (weights.shape[0], n_experts, weights.dtype)
    if key not in BUFFERS:
        BUFFERS[key] = weights.new_zeros(weights.shape[0], n_experts)
    combine = BUFFERS[key].scatter(1, expert_ids, weights)
    BUFFERS[key] = combine.detach()
    return combine
