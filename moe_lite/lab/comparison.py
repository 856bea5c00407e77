"""Is one model better than another? Recorded trainings, compared at equal tokens, FLOPs, seconds and bytes.

A model was trained on several budgets, each with a learning-rate schedule and a learning rate of its own, so where two
models are compared at, say, equal seconds, the loss of each is read between its budgets (`loss_at`), and never from the
middle of one training. `python -m moe_lite.lab.comparison_tables` prints what lesson 10 finds.
"""

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import torch
from torch import Tensor

from moe_lite.lab.runs import (
    BUDGET,
    SPEED,
    T_975,
    Interval,
    Recording,
    budgets,
    differences,
    folder,
    in_seconds,
    in_words,
    interval,
    names,
    recording,
)

DENSE_ACTIVE, DENSE_TOTAL = "dense-equal-active", "dense-equal-total"
EIGHT = "moe-8-top2"
# the eight experts with one thing changed, the last one with two
CHANGED = ("moe-4-top2", "moe-16-top2", "moe-32-top2", "moe-32-fine", "moe-8-shared", "moe-32-shared")
BYTES_PER_PARAMETER = 16  # training in float32 with Adam: weight, gradient and two moments, 4 bytes each
PASSES = 3  # forward, and backward once for the inputs and once for the weights
AXES = {
    "tokens": "tokens of training",
    "FLOPs": "FLOPs of training",
    "seconds": "seconds of training, one thread",
    "bytes": "bytes of weights, gradients and optimizer",
}


# ---- the measures that the learner writes ----------------------------------------------------------------------------


def steps_to(steps: Tensor, losses: Tensor, target: float) -> float:
    """After how many steps a curve is at `target` or below for the first time, on a straight line between its points.

    steps (P,), ascending; losses (P,), nats per token. Infinite if it never is. The first point has no line that leads
    to it: if it is low enough, its own step is the answer.
    """
    low = (losses <= target).nonzero()
    if len(low) == 0:
        return math.inf
    i = int(low[0])
    if i == 0:
        return float(steps[0])
    part = (losses[i - 1] - target) / (losses[i - 1] - losses[i])
    return float(steps[i - 1] + part * (steps[i] - steps[i - 1]))


def paired_interval(a: Tensor, b: Tensor, t: float) -> tuple[float, float, float]:
    """Mean, lower and upper end of the confidence interval of a − b, pair by pair.

    a, b (S,), the value of each seed in the same order; t: the critical value of Student's t for S − 1 degrees of
    freedom. Half the interval is t times the standard error of the mean difference.
    """
    difference = a - b
    half = t * difference.std() / math.sqrt(len(difference))
    mean = difference.mean()
    return float(mean), float(mean - half), float(mean + half)


def loss_at(tokens: Tensor, losses: Tensor, at: float) -> float:
    """The loss of a training on `at` tokens, read between trainings on fewer and on more.

    tokens (B,) ascending; losses (B,), where a training on so many tokens ended. Linear in the logarithm of the
    tokens. Raises ValueError outside of what was trained.
    """
    least, most = float(tokens[0]), float(tokens[-1])
    if not least <= at <= most:
        raise ValueError(f"{at:,} tokens lie outside of the budgets, which go from {least:,.0f} to {most:,.0f}.")
    right = int((tokens >= at).nonzero()[0])
    if float(tokens[right]) == at:
        return float(losses[right])
    x = tokens.double().log()
    part = (math.log(at) - x[right - 1]) / (x[right] - x[right - 1])
    return float(losses[right - 1] + part * (losses[right] - losses[right - 1]))


def equal_cost(
    tokens: Tensor, a: Tensor, b: Tensor, cost_a: float, cost_b: float, t: float
) -> tuple[float, int, float, float, float]:
    """Which of two models has the lower loss when both spent as much: amount, better, mean, low, high.

    tokens (B,), the budgets of both; a, b (S, B), where the training of each seed on each budget ended; cost_a, cost_b:
    what one token of training costs. `amount` is the largest cost that both reach. `better` is 0 or 1 for the first or
    the second model, −1 where the interval of a − b contains 0.
    """
    amount = min(cost_a, cost_b) * float(tokens[-1])
    read = []
    for losses, cost in ((a, cost_a), (b, cost_b)):
        at = min(amount / cost, float(tokens[-1]))  # rounding can put the quotient a hair above the last budget
        read.append(torch.tensor([loss_at(tokens, row, at) for row in losses], dtype=torch.float64))  # (S,)
    mean, low, high = paired_interval(*read, t)
    better = -1 if low <= 0 <= high else 0 if high < 0 else 1
    return amount, better, mean, low, high


@dataclass(frozen=True)
class Verdict:
    """What a comparison of two models found."""

    better: str | None  # the name of the model with the lower loss; None where the interval contains 0
    delta_nats: float  # mean over seeds of the first model's loss minus the second's, nats per token
    low: float
    high: float
    condition: str  # what was equal

    def __str__(self) -> str:
        found = f"{self.delta_nats:+.3f} [{self.low:+.3f}, {self.high:+.3f}] nats at {self.condition}"
        return f"{f'{self.better} is better' if self.better else 'cannot tell'}: {found}".replace("-0.", "−0.")


def verdict(names: tuple[str, str], a: Tensor, b: Tensor, t: float, condition: str) -> Verdict:
    """Which of two models has the lower loss, from the losses (S,) of each seed, in nats per token."""
    mean, low, high = paired_interval(a, b, t)
    better = None if low <= 0 <= high else names[0] if high < 0 else names[1]
    return Verdict(better, mean, low, high, condition)


# ---- recordings by budget --------------------------------------------------------------------------------------------


def compared() -> list[str]:
    """The models recorded on the smallest budget as well as on the usual one, the dense ones first."""
    both = {*names(budgets()[0])} & {*names()}
    return sorted(both, key=lambda name: (not name.startswith("dense"), name))


@dataclass(frozen=True)
class Series:
    """One model on every budget that it was recorded on."""

    name: str
    recordings: tuple[Recording, ...]  # the one on the fewest tokens first
    budgets: tuple[str, ...] = ()  # their names

    @property
    def title(self) -> str:
        return self.recordings[0].title

    @property
    def tokens(self) -> list[int]:
        return [one.tokens for one in self.recordings]

    @cached_property
    def seeds(self) -> list[int]:
        """Those that every budget has."""
        return sorted(set.intersection(*({run.seed for run in one.runs} for one in self.recordings)))

    @cached_property
    def losses(self) -> Tensor:
        """(S, B) float64: where the training of each seed on each budget ended, nats per token."""
        ends = [{run.seed: run.loss for run in one.runs} for one in self.recordings]
        return torch.tensor([[end[seed] for end in ends] for seed in self.seeds], dtype=torch.float64)

    @property
    def flops_per_token(self) -> int:
        """Of training, counted: forward and backward, router, attention and unembedding included."""
        return PASSES * self.recordings[0].flops_per_token

    @property
    def bytes(self) -> int:
        """Held in memory while it trains, without activations."""
        return BYTES_PER_PARAMETER * self.recordings[0].parameters["total"]

    @cached_property
    def seconds_per_token(self) -> float:
        """Of training, measured with nothing beside it. Raises ValueError if no step of this model was timed."""
        timed = speeds()
        if self.name not in timed:
            raise ValueError(f"No training step of {self.name!r} was timed; those of {', '.join(timed)} were.")
        return timed[self.name] / (self.recordings[0].train.batch_size * self.recordings[0].train.length)

    def per_token(self, axis: str) -> float:
        """How much of an axis one token of training costs. Raises ValueError for bytes, which are held, not spent."""
        costs = {"tokens": 1, "FLOPs": self.flops_per_token, "seconds": None}
        if axis not in costs:
            raise ValueError(f"{axis!r} is not spent token by token; expected one of {', '.join(costs)}.")
        return self.seconds_per_token if axis == "seconds" else costs[axis]

    def tokens_for(self, axis: str, amount: float) -> float:
        """How many tokens of training an amount of an axis pays for; a budget's own, where only rounding is between."""
        tokens = amount / self.per_token(axis)
        return next((float(whole) for whole in self.tokens if math.isclose(whole, tokens, rel_tol=1e-9)), tokens)

    def on(self, budget: str) -> Recording | None:
        """The trainings on a budget; those on another that take as long as a budget in seconds are on that as well."""
        if budget in self.budgets:
            return self.recordings[self.budgets.index(budget)]
        if not in_seconds(budget) or self.name not in speeds():
            return None
        took = {one.tokens * self.seconds_per_token: one for one in self.recordings}
        return next((one for seconds, one in took.items() if abs(seconds - float(budget[:-1])) < 1), None)

    def around(self, tokens: float) -> "Series | None":
        """The budgets alone that the loss at so many tokens is read from: one that is met, or the two beside it. They
        may have seeds that other budgets lack. None outside of what was trained."""
        if not self.tokens[0] <= tokens <= self.tokens[-1]:
            return None
        first = max(i for i, budget in enumerate(self.tokens) if budget <= tokens)
        there = slice(first, first + (1 if self.tokens[first] == tokens else 2))
        return Series(self.name, self.recordings[there], self.budgets[there])

    def losses_at(self, tokens: float) -> Tensor:
        """(S,) the loss of each seed after a training on so many tokens. Raises ValueError outside of the budgets."""
        read = [loss_at(torch.tensor(self.tokens), row, tokens) for row in self.losses]
        return torch.tensor(read, dtype=torch.float64)


def series(name: str, within: Sequence[str] | None = None) -> Series:
    """A model on the budgets `within`, all of them if None. Raises ValueError for a name that none of them has."""
    wanted = {budget: names(budget) for budget in chosen(within)}
    found = {budget: recording(name, budget, seeds=None) for budget, there in wanted.items() if name in there}
    if not found:
        known, where = ", ".join(sorted({*chain(*wanted.values())})) or "none", " or ".join(map(in_words, wanted))
        raise ValueError(f"There is no recording {name!r} on {where}; there are {known}.")
    by_tokens = sorted(found, key=lambda budget: found[budget].tokens)
    return Series(name, tuple(found[budget] for budget in by_tokens), tuple(by_tokens))


def chosen(within: Sequence[str] | None) -> list[str]:
    """Those of the budgets that are asked for, the smallest first. Raises ValueError for one that there is not."""
    there = budgets()
    wanted = there if within is None else [within] if isinstance(within, str) else [*within]
    if strangers := [name for name in wanted if name not in there]:
        raise ValueError(f"There is no budget {', '.join(map(repr, strangers))}; there are {', '.join(there)}.")
    if not wanted:
        raise ValueError(f"No budget is asked for; there are {', '.join(there)}.")
    return [name for name in there if name in wanted]


def speeds() -> dict[str, float]:
    """Seconds of one training step by model, all models timed in turn on an idle machine with one thread."""
    return json.loads((folder() / SPEED).read_text(encoding="utf-8"))["seconds_per_step"]


def paired(a: Series, b: Series, axis: str, amount: float) -> tuple[list[int], Tensor, Tensor] | None:
    """The seeds that both have where they spent as much of an axis, and each one's losses (S,) in their order; None
    where one was never trained on so few or so many tokens."""
    tokens = [one.tokens_for(axis, amount) for one in (a, b)]
    near = [one.around(at) for one, at in zip((a, b), tokens, strict=True)]
    if near[0] is None or near[1] is None:
        return None
    seeds = [seed for seed in near[0].seeds if seed in near[1].seeds]
    rows = [[one.seeds.index(seed) for seed in seeds] for one in near]
    x, y = (one.losses_at(at)[row] for one, at, row in zip(near, tokens, rows, strict=True))
    return seeds, x, y


def equal(a: Series, b: Series, axis: str, amount: float) -> Verdict | None:
    """a against b where both spent as much of an axis; None where one was never trained on so few or so many tokens.

    Raises ValueError where fewer than two seeds can be paired: one difference has no interval.
    """
    found = paired(a, b, axis, amount)
    if found is None:
        return None
    seeds, x, y = found
    if len(seeds) < 2:
        raise ValueError(f"{a.name} and {b.name} share {len(seeds)} seeds at {amount:.3g} {axis}: too few to pair.")
    return verdict((a.title, b.title), x, y, T_975[len(seeds) - 1], f"{amount:.3g} {axis}")


def largest_common(a: Series, b: Series, axis: str) -> float:
    """The most of an axis that both models spent in a training."""
    return min(one.tokens[-1] * one.per_token(axis) for one in (a, b))


def saved(a: Series, b: Series, axis: str) -> list[float | None]:
    """Seed by seed: what part of b's spending on its largest budget brings a to where b ended, with a schedule that
    ends there. None where that is outside of a's budgets."""
    found = []
    for seed in [seed for seed in a.seeds if seed in b.seeds]:
        goal = float(b.losses[b.seeds.index(seed), -1])
        logs = steps_to(torch.tensor(a.tokens).double().log(), a.losses[a.seeds.index(seed)], goal)
        inside = math.isfinite(logs) and a.losses[a.seeds.index(seed), 0] > goal
        found.append(math.exp(logs) * a.per_token(axis) / (b.tokens[-1] * b.per_token(axis)) if inside else None)
    return found


def extended(tokens: Tensor, losses: Tensor, at: float) -> Tensor:
    """(S,) the loss on `at` tokens if the straight line through the budgets (least squares, in log tokens) went on.

    tokens (B,) of at least two budgets; losses (S, B). It is a guess: losses need not stay on a line.
    """
    x = tokens.double().log()
    slope = ((x - x.mean()) * losses).sum(dim=1) / (x - x.mean()).square().sum()
    return losses.mean(dim=1) + slope * (math.log(at) - x.mean())


# ---- groups of models ------------------------------------------------------------------------------------------------


def changes(budget: str = BUDGET) -> dict[str, Interval]:
    """Each of CHANGED minus the eight experts on a budget, over the seeds that both have."""
    eight = recording(EIGHT, budget, seeds=None)
    return {name: interval(differences(recording(name, budget, seeds=None), eight)) for name in CHANGED}


def timed(budget: str) -> dict[str, Recording]:
    """Who was trained for the seconds of a budget, the lowest mean loss first."""
    found = {name: series(name).on(budget) for name in dict.fromkeys([*compared(), *names(budget)])}
    there = [(name, one) for name, one in found.items() if one is not None]
    return dict(sorted(there, key=lambda item: statistics.fmean(item[1].losses)))
