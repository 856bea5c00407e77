"""Expert parallelism."""

import torch
from torch import Tensor


def split_sizes(expert_ids: Tensor, n_experts: int, n_ranks: int) -> tuple[Tensor, Tensor]:
    """How a process prepares its rows for an all-to-all, if every process holds as many neighbouring experts.

    expert_ids (A,) int64, the expert of each row -> order (A,) int64, by expert, rows of one expert as they stand; and
    send (n_ranks,) int64, how many rows go to each process.
    """
    order = expert_ids.argsort(stable=True)
    return order, torch.bincount(expert_ids // (n_experts // n_ranks), minlength=n_ranks)


def loss_weights(n_tokens: Tensor) -> Tensor:
    """What each process multiplies the mean loss of its tokens with, so that added gradients are those of one process.

    n_tokens (n_ranks,), at least one of them above 0 -> (n_ranks,) float64, the processes' shares of all tokens.
    """
    return n_tokens.double() / n_tokens.sum()
