"""The k best of a row: the choice that every router ends in."""

from collections.abc import Callable

import torch
from torch import Tensor

TopK = Callable[[Tensor, int], tuple[Tensor, Tensor]]
FEW = 8  # up to so many are found one after the other, more by sorting


def top_k_route(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k best experts of each token and their weights, renormalised to sum to 1 (Mixtral, arXiv 2401.04088).

    scores (N, E), non-negative -> weights (N, k), expert_ids (N, k) int64; best first, among equals the lower number.
    """
    values, expert_ids = top_k_stable(scores, k)
    return values / values.sum(dim=-1, keepdim=True), expert_ids


def top_k_stable(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Like `topk`, but among equal values the lower index comes first, on every machine."""
    n_experts = values.shape[-1]
    if not 1 <= k <= n_experts:
        raise ValueError(f"top-k with k={k} among {n_experts} experts: k must be from 1 to {n_experts}.")
    expert_ids = best_of(values.detach(), k)  # (N, k)
    return values.gather(1, expert_ids), expert_ids


def best_of(values: Tensor, k: int) -> Tensor:
    """(N, E) -> (N, k) int64: where the k largest stand, found one after the other; `max` gives the first of equals.

    For few of many that costs a fifth of a stable sort. The sort decides where it is as fast (one token), and where
    a row has fewer than k numbers above −inf.
    """
    if k <= FEW < len(values):
        rest, found = values.clone(), []
        for _ in range(k):
            best, place = rest.max(dim=-1, keepdim=True)  # (N, 1), (N, 1)
            found.append(place)
            rest.scatter_(1, place, float("-inf"))
        if (best > float("-inf")).all():
            return torch.cat(found, dim=-1)
    return values.sort(dim=-1, descending=True, stable=True).indices[:, :k]


def checked(result: object, scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """What a function passed in returned, or a TypeError/ValueError that says what is wrong with it."""
    if not (isinstance(result, tuple) and len(result) == 2 and all(isinstance(t, Tensor) for t in result)):
        raise TypeError(
            f"top_k_fn must return two tensors, weights and expert_ids; it returned {type(result).__name__}."
        )
    weights, expert_ids = result
    n_tokens, n_experts = scores.shape
    for name, tensor in (("weights", weights), ("expert_ids", expert_ids)):
        if tensor.shape != (n_tokens, k):
            raise ValueError(f"top_k_fn: {name} have shape {tuple(tensor.shape)}, expected (N, k) = {(n_tokens, k)}.")
    if not weights.is_floating_point():
        raise TypeError(f"top_k_fn: weights are {weights.dtype}, expected floating-point numbers.")
    if expert_ids.is_floating_point() or expert_ids.dtype == torch.bool:
        raise TypeError(f"top_k_fn: expert_ids are {expert_ids.dtype}, expected torch.int64.")
    if len(expert_ids) and not 0 <= int(expert_ids.min()) <= int(expert_ids.max()) < n_experts:
        low, high = int(expert_ids.min()), int(expert_ids.max())
        raise ValueError(f"top_k_fn: expert_ids run from {low} to {high}, but experts are 0 to {n_experts - 1}.")
    ordered = expert_ids.sort(dim=-1).values  # (N, K)
    twice = ordered[:, 1:] == ordered[:, :-1]  # (N, K-1)
    if twice.any():
        token, place = twice.nonzero()[0].tolist()
        expert = int(ordered[token, place])
        raise ValueError(f"top_k_fn: token {token} got expert {expert} twice; the k experts must differ.")
    return weights, expert_ids.long()
