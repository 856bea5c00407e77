"""Random inputs for checks: every size different, every seed its own, no two values so close that rounding decides."""

import math
from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor

from moe_lite.checks.engine.exercise import FORM, GRADIENT, INPUT, REPEAT, Case, Trial

F32, F64 = torch.float32, torch.float64

LEAST_GAP = 1e-3


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sizes(seed: int) -> tuple[int, int, int]:
    """N, E and k, all different, k < E."""
    g = generator(seed)
    k = int(torch.randint(2, 5, (), generator=g))
    n_experts = k + int(torch.randint(2, 6, (), generator=g))
    n_tokens = n_experts + int(torch.randint(1, 5, (), generator=g)) * (1 if seed % 2 else -1)
    if n_tokens in (k, n_experts) or n_tokens < 2:
        n_tokens = n_experts + 3
    return n_tokens, n_experts, k


def logits(seed: int, n_tokens: int, n_experts: int, dtype: torch.dtype = torch.float64, scale: float = 1.5) -> Tensor:
    """(N, E) with no two values of a row closer than `LEAST_GAP`."""
    g = generator(seed)
    while True:
        drawn = torch.randn(n_tokens, n_experts, dtype=torch.float64, generator=g) * scale
        gaps = drawn.sort(dim=-1).values.diff(dim=-1)
        if not gaps.numel() or gaps.min() > LEAST_GAP:
            return drawn.round(decimals=4).to(dtype)  # four decimals: the input can be copied and read


def scores(seed: int, n_tokens: int, n_experts: int, dtype: torch.dtype = torch.float64, total: float = 1.0) -> Tensor:
    """(N, E) positive, no near-ties; rows sum to `total`."""
    g = generator(seed)
    while True:
        drawn = torch.randn(n_tokens, n_experts, dtype=torch.float64, generator=g).mul(1.2).softmax(dim=-1)
        gaps = drawn.sort(dim=-1).values.diff(dim=-1)
        if gaps.min() > LEAST_GAP:
            return (drawn * total).round(decimals=4).to(dtype)


def nearly_equal(seed: int, *shape: int) -> Tensor:
    """float64 values near 0.3 that differ in the seventh decimal: equal as bfloat16, or after rounding."""
    order = torch.randperm(math.prod(shape), generator=generator(seed)).reshape(shape)
    return 0.3 + 1e-7 * order.double()


def distinct(seed: int, *shape: int, low: float = -2.0, high: float = 2.0) -> Tensor:
    """float64 values between low and high, all different and evenly spaced, in random places: of any shape, at once."""
    n = math.prod(shape)
    return low + (high - low) * (torch.randperm(n, generator=generator(seed)).double().reshape(shape) + 0.5) / n


def choices(seed: int, n_tokens: int, n_experts: int, k: int) -> Tensor:
    """(N, k) int64: k different experts for each token, in no order."""
    g = generator(seed)
    return torch.stack([torch.randperm(n_experts, generator=g)[:k] for _ in range(n_tokens)])


def note(seed: int, dtype: torch.dtype) -> str:
    return f"seed {seed}, {str(dtype).removeprefix('torch.')}"


def usual(
    form: tuple[Trial, ...], plain: tuple[Trial, ...], gradient: tuple[int, ...] = (), *,
    again: tuple[Trial, ...] = (), through: tuple[Trial, ...] = (), name: str = "shapes and types",
) -> tuple[list[Case], list[Case]]:  # fmt: skip
    """The cases that nearly every exercise begins with, and the one that it ends with: trials for the form, plain ones,
    and the positions of the arguments that a gradient is taken for.

    again: what is tried twice, if not the first plain trial; through: what the gradient is taken in, if not the second.
    name: of the first case.
    """
    first = [
        Case(name, form, (FORM,)),
        Case("input unchanged, no memory", again or plain[:1], (INPUT, REPEAT)),
    ]
    last = [Case("gradient", with_gradient(through or plain[1:2], *gradient), (GRADIENT,))] if gradient else []
    return first, last


def with_gradient(trials: Iterable[Trial], *positions: int) -> tuple[Trial, ...]:
    """The same trials, with a gradient taken for the arguments at these positions."""
    return tuple(replace(trial, gradient=positions) for trial in trials)
