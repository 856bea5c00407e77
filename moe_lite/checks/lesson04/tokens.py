"""Inputs of lesson 04's exercises: tokens, weights and choices of sizes that all differ, and experts that count."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.exercise import Output, Trial, Watch
from moe_lite.checks.engine.inputs import F64


class CountedExpert:
    """A function (n, D) -> (n, D), another one for each number, that counts the rows of each of its calls.

    It ends in tanh, whose gradient needs the answer: one that is changed in place (`*=`) has no gradient any more.
    """

    def __init__(self, number: int, rows_only: bool = False):
        self.rows_only = rows_only
        self.factor, self.offset = round(0.8 + 0.37 * number, 2), round(0.6 - 0.25 * number, 2)
        if number > 11:  # there tanh would make all alike
            self.factor, self.offset = round(1 + 0.5 * math.cos(1.7 * number), 4), round(math.sin(number), 4)
        self.sizes: list[int] = []

    def __call__(self, rows: Tensor) -> Tensor:
        if self.rows_only and rows.dim() != 2:
            raise ValueError(f"an expert takes rows (n, D), and got the shape {tuple(rows.shape)}")
        self.sizes.append(rows.numel() // rows.shape[-1])
        return (rows * self.factor + self.offset).roll(1, -1).tanh()

    def __repr__(self) -> str:
        return f"lambda rows: (rows * {self.factor} + {self.offset}).roll(1, -1).tanh()"


@contextmanager
def _calls_counted(args: tuple) -> Iterator[dict[str, Tensor]]:
    """Empty calls do not count: an expert without tokens may be called or not."""
    experts, counted = list(args[3]), {}
    for expert in experts:
        expert.sizes.clear()
    yield counted
    counted["rows"] = torch.tensor([sum(expert.sizes) for expert in experts])  # (E,)
    counted["calls"] = torch.tensor([sum(size > 0 for size in expert.sizes) for expert in experts])  # (E,)


CALLS = Watch(
    (Output("rows", "E,", expert_columns=True), Output("calls", "E,", expert_columns=True)),
    _calls_counted,
)


def expert_list(n_experts: int, rows_only: bool = False) -> list[CountedExpert]:
    return [CountedExpert(number, rows_only) for number in range(n_experts)]


def normal(seed: int, *shape: int, scale: float = 1.0) -> Tensor:
    """Three decimals: the input can be copied and read."""
    drawn = torch.randn(*shape, dtype=F64, generator=inputs.generator(seed))
    return (scale * drawn).round(decimals=3)


def weights_like(seed: int, expert_ids: Tensor) -> Tensor:
    """(N, K) between 0.1 and 0.9; rows need not sum to 1."""
    drawn = torch.rand(expert_ids.shape, dtype=F64, generator=inputs.generator(seed + 1000))
    return (0.1 + 0.8 * drawn).round(decimals=3)


def busy_choices(seed: int, n_tokens: int, n_experts: int, k: int, silent: tuple[int, ...] = ()) -> Tensor:
    """(N, K) int64: every expert that is not silent has a token, and they have different numbers of tokens."""
    awake = torch.tensor([e for e in range(n_experts) if e not in silent])
    while True:
        expert_ids = awake[inputs.choices(seed, n_tokens, len(awake), k)]  # (N, K)
        counts = torch.bincount(expert_ids.flatten(), minlength=n_experts)[awake]
        if counts.min() > 0 and counts.unique().numel() > 1:
            return expert_ids
        seed += 100


def all_to(experts: tuple[int, ...], n_tokens: int) -> Tensor:
    """(N, K): every token chooses the same experts, in the same order."""
    return torch.tensor([experts]).repeat(n_tokens, 1)


def typed(trial: Trial, dtype: torch.dtype) -> Trial:
    """A float64 trial in another floating type."""
    args = (
        value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value for value in trial.args
    )
    return Trial(tuple(args), trial.note.replace("float64", str(dtype).removeprefix("torch.")))


def with_a_zero(trial: Trial) -> Trial:
    """The same, but the first token's last choice has the weight 0: it adds nothing, and its weight has a gradient."""
    x, weights, *others = trial.args
    weights = weights.clone()
    weights[0, -1] = 0
    return replace(trial, args=(x, weights, *others), note=f"{trial.note}, one weight is 0")
