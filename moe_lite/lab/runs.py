"""Recorded trainings: what `tools/record_runs.py` measured, kept as small JSON files in data/runs/.

sparse, dense = recording("moe-8-top2"), recording("dense-equal-active")
interval(sparse.losses)                      # mean and 95 % interval over seeds
interval(differences(sparse, dense))         # seed by seed: the same texts in the same order
"""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from moe_lite.data import data_dir
from moe_lite.lab.recording import recorded
from moe_lite.model.config import ModelConfig
from moe_lite.train import TrainConfig

FORMAT, VERSION = "moe-lite-runs", 1
SPEED = "speed.json"  # how long a training step of each model takes
SUMMARY = "summary.json"  # numbers for prose, computed from the others
SHARED_SEEDS = 3  # that every recording has; some have more
BUDGET = "2M"  # of a training, unless another budget is asked for: then the files lie in a folder of that name
T_975 = {  # Student's t by degrees of freedom
    1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 10: 2.228, 11: 2.201,
    12: 2.179, 13: 2.160, 14: 2.145, 15: 2.131,
}  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One training: the curve, and what its model scores on the whole validation split."""

    seed: int
    lr: float
    seconds: float  # in training steps; comparable only where nothing else ran
    tokens: list[int]  # at which training loss was noted
    train_loss: list[float]  # nats per token, mean of the steps since the last note
    validation_tokens: list[int]
    validation: list[float]  # nats per token, mean over domains, on a part of the split
    final: dict[str, float]  # nats per token by domain, on all of the split
    load: list[list[int]]  # (L, E) over all of the split; [] for a dense model

    @property
    def loss(self) -> float:
        """Final validation loss, the mean over domains."""
        return statistics.mean(self.final.values())

    @property
    def load_table(self) -> Tensor:
        """(L, E) int64."""
        return torch.tensor(self.load, dtype=torch.int64)

    def tokens_to(self, loss: float) -> int | None:
        """The first number of tokens at which the validation curve is at `loss` or below, None if it never is."""
        return next((t for t, y in zip(self.validation_tokens, self.validation, strict=True) if y <= loss), None)


@dataclass(frozen=True)
class Recording:
    """One model, trained with several learning rates on one seed, then with the best of them on more seeds."""

    name: str
    title: str
    model: ModelConfig
    train: TrainConfig  # seed and learning rate are each run's own
    parameters: dict[str, int]  # total, active, experts, router
    flops_per_token: int  # forward, with a full row to attend to
    torch: str
    threads: int
    machine: str
    all_runs: tuple[Run, ...]

    @cached_property
    def learning_rates(self) -> dict[float, float]:
        """Final loss by learning rate, on the seed that tried them all."""
        seed = self.all_runs[0].seed
        return {run.lr: run.loss for run in sorted(self.all_runs, key=lambda run: run.lr) if run.seed == seed}

    @property
    def lr(self) -> float:
        """The best of the learning rates tried."""
        return min(self.learning_rates, key=self.learning_rates.__getitem__)

    @property
    def runs(self) -> tuple[Run, ...]:
        """Those with the best learning rate, by seed."""
        return tuple(sorted((run for run in self.all_runs if run.lr == self.lr), key=lambda run: run.seed))

    @property
    def losses(self) -> list[float]:
        """Final validation loss of each seed, nats per token."""
        return [run.loss for run in self.runs]

    @property
    def tokens(self) -> int:
        """Seen in one training."""
        return self.train.steps * self.train.batch_size * self.train.length


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % confidence interval (Student's t: values taken as normal and independent)."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def interval(values: Sequence[float]) -> Interval:
    """Raises ValueError for fewer than two values: they have no spread."""
    n = len(values)
    if not 2 <= n <= max(T_975) + 1:
        raise ValueError(f"{n} values; an interval over seeds is worked out for 2 to {max(T_975) + 1} of them.")
    mean, half = statistics.mean(values), T_975[n - 1] * statistics.stdev(values) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n)


def differences(a: Recording, b: Recording) -> list[float]:
    """Final loss of a minus b, seed by seed: one seed draws the same texts in the same order for every model.

    Where one was run on more seeds than the other, those of both. Raises ValueError where fewer than two are.
    """
    mine, other = ({run.seed: run.loss for run in recording.runs} for recording in (a, b))
    both = sorted(mine.keys() & other.keys())
    if len(both) < 2:
        raise ValueError(f"{a.name} has seeds {sorted(mine)}, {b.name} {sorted(other)}: too few to pair.")
    return [mine[seed] - other[seed] for seed in both]


def summary(recordings: Sequence[Recording], baseline: str) -> dict[str, dict]:
    """What prose may quote of recordings: losses, and each one's lead over the one called `baseline`.

    Numbers are rounded to four decimals. `reached`: the share of the tokens after which the validation curve is where
    the baseline's ends, by seed; None where it never is.
    """
    base = next(recording for recording in recordings if recording.name == baseline)
    return {recording.name: _summarised(recording, base) for recording in recordings}


def _summarised(recording: Recording, base: Recording) -> dict:
    loss, row = interval(recording.losses), {"title": recording.title, "lr": recording.lr, "tokens": recording.tokens}
    row |= {"parameters": recording.parameters, "flops_per_token": recording.flops_per_token}
    row |= {"loss": _rounded(loss), "losses": [round(value, 4) for value in recording.losses]}
    if recording.name != base.name:
        goals = {run.seed: run.validation[-1] for run in base.runs}
        reached = [run.tokens_to(goals[run.seed]) for run in recording.runs]
        row["difference"] = _rounded(interval(differences(recording, base)))
        row["reached"] = [tokens and round(tokens / recording.tokens, 4) for tokens in reached]
    return row


def _rounded(found: Interval) -> dict[str, float]:
    return {name: round(getattr(found, name), 4) for name in ("mean", "low", "high")}


def budgets() -> list[str]:
    """Of the recordings that the course ships, the smallest first: those in tokens ("2M"), then those in seconds
    ("718s"), in which each model sees as many tokens as its speed allows."""
    others = [path.name for path in folder().iterdir() if path.is_dir()]
    return in_order([BUDGET, *others])


def in_order(budgets: Iterable[str]) -> list[str]:
    """Tokens before seconds, the smallest first."""
    return sorted(budgets, key=lambda name: (in_seconds(name), float(name[:-1])))


def in_seconds(budget: str) -> bool:
    return budget.endswith("s")


def in_words(budget: str) -> str:
    """2M -> "2M tokens", 718s -> "718 seconds" """
    return f"{budget[:-1]} seconds" if in_seconds(budget) else f"{budget} tokens"


def names(budget: str = BUDGET) -> list[str]:
    """Of the recordings that the course ships on this budget."""
    return sorted(path.stem for path in folder(budget).glob("*.json") if path.name not in (SUMMARY, SPEED))


def recording(name: str, budget: str = BUDGET, seeds: int | None = SHARED_SEEDS) -> Recording:
    """One that the course ships, with its first `seeds` seeds: as many as all have, or None for all of its own.

    Raises ValueError for an unknown name or budget.
    """
    path = folder(budget) / f"{name}.json"
    if not path.is_file():
        there, others = ", ".join(names(budget)) or "none", ", ".join(budgets())
        raise ValueError(f"There is no recording {name!r} on {in_words(budget)}; there are {there}. Budgets: {others}.")
    found = read(path)
    wanted = sorted({run.seed for run in found.all_runs})[:seeds]
    return replace(found, all_runs=tuple(run for run in found.all_runs if run.seed in wanted))


def read(path: Path) -> Recording:
    """The recording in `path`. Raises ValueError that names the file if it is none of this version."""
    with recorded(path, FORMAT, VERSION) as values:
        values["all_runs"] = tuple(Run(**run) for run in values["all_runs"])
        return Recording(**values)


def folder(budget: str = BUDGET) -> Path:
    runs = data_dir() / "runs"
    return runs if budget == BUDGET else runs / budget
