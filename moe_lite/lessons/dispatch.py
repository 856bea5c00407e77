"""Sending tokens to their experts and back, where each token has K of them: lesson 04, step by step.

`Experts` does the same from a `Routing`, in which K may differ from token to token and assignments may be dropped.
Assignments are counted token by token: place n·K + j is token n's j-th choice.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from moe_lite.model.experts import swiglu


def moe_loop(x: Tensor, weights: Tensor, expert_ids: Tensor, experts: Sequence[Callable[[Tensor], Tensor]]) -> Tensor:
    """Each expert in turn on its own tokens. x (N, D), weights and expert_ids (N, K), experts (n, D) -> (n, D): (N, D).

    y_n = sum_j w_nj · expert_{e_nj}(x_n)
    """
    y = torch.zeros_like(x)  # (N, D)
    for e, expert in enumerate(experts):
        token, choice = (expert_ids == e).nonzero(as_tuple=True)  # (n,), (n,)
        if len(token):
            y = y.index_add(0, token, expert(x[token]) * weights[token, choice, None])
    return y


def swiglu_calls(gate_up: Tensor, down: Tensor) -> list[Callable[[Tensor], Tensor]]:
    """The experts of a stack of weights as E functions (n, D) -> (n, D). gate_up (E, 2F, D), down (E, D, F)."""
    pairs = zip(gate_up.unbind(0), down.unbind(0), strict=True)
    return [lambda rows, pair=pair: swiglu(rows, *pair) for pair in pairs]


def dispatch_order(expert_ids: Tensor, n_experts: int) -> tuple[Tensor, Tensor]:
    """The places expert by expert, within an expert in order, and how many each has.

    expert_ids (N, K) -> order (N·K,) int64, counts (E,) int64
    """
    flat = expert_ids.flatten()  # (N·K,)
    return flat.argsort(stable=True), torch.bincount(flat, minlength=n_experts)


def combine(out: Tensor, order: Tensor, weights: Tensor) -> Tensor:
    """Put answers back: out (N·K, D), whose row i answers place order[i], weights (N, K) -> (N, D)."""
    weighted = out * weights.flatten()[order, None]  # (N·K, D)
    return out.new_zeros(len(weights), out.shape[1]).index_add(0, order // weights.shape[1], weighted)


def sparse_forward(x: Tensor, weights: Tensor, expert_ids: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    """Sorted dispatch: one contiguous slice per expert.

    x (N, D), weights and expert_ids (N, K), gate_up (E, 2F, D), down (E, D, F) -> (N, D)
    """
    order, counts = dispatch_order(expert_ids, len(gate_up))  # (N·K,), (E,)
    slices = x.index_select(0, order // expert_ids.shape[1]).split(counts.tolist())  # E of (n, D)
    # unbind, not gate_up[e]: the backward of indexing would fill a gradient for all experts, once per expert
    parts = [swiglu(*part) for part in zip(slices, gate_up.unbind(0), down.unbind(0), strict=True)]
    return combine(torch.cat(parts), order, weights)


def padded_forward(x: Tensor, weights: Tensor, expert_ids: Tensor, gate_up: Tensor, down: Tensor) -> tuple[Tensor, int]:
    """The same with one batched product: every expert computes as many rows as the fullest, zeros for what is missing.

    Returns y (N, D) and the number of rows computed, E times the largest count.
    """
    order, counts = dispatch_order(expert_ids, len(gate_up))  # (N·K,), (E,)
    longest = int(counts.max())
    expert = expert_ids.flatten()[order]  # (N·K,)
    row = torch.arange(len(order), device=order.device)  # (N·K,)
    place = row - (counts.cumsum(0) - counts)[expert]  # (N·K,) in the expert's own block
    rows = x.new_zeros(len(gate_up), longest, x.shape[1])  # (E, longest, D)
    rows = rows.index_put((expert, place), x[order // expert_ids.shape[1]])
    gate, up = (rows @ gate_up.mT).chunk(2, dim=-1)  # (E, longest, F), (E, longest, F)
    out = (F.silu(gate) * up) @ down.mT  # (E, longest, D)
    return combine(out[expert, place], order, weights), len(gate_up) * longest
