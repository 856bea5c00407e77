"""What the results explorer shows, as data: curves and ends of recorded trainings on one axis, where they are compared,
and what `comparison.equal` finds there."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from moe_lite.lab import runs
from moe_lite.lab.comparison import (
    AXES,
    DENSE_ACTIVE,
    DENSE_TOTAL,
    Series,
    Verdict,
    chosen,
    compared,
    equal,
    largest_common,
    paired,
    series,
)
from moe_lite.lab.runs import Recording

PAIR = ("moe-8-top2", DENSE_ACTIVE)
FIRST = (DENSE_ACTIVE, DENSE_TOTAL, PAIR[0])  # among the models, where no others are asked for
SPENT = tuple(axis for axis in AXES if axis != "bytes")  # token by token; bytes are held
STEPS = 60  # of the marker over the whole axis, beside the ends of the trainings
HEADROOM = 0.3  # nats over the highest end, at least: so much of the curves is seen
ALIKE = 0.02  # part by which two models' bytes may differ and still be called equal

Point = tuple[float, float]  # an amount of the axis, a loss in nats per token


@dataclass(frozen=True)
class Model:
    """A model that can be shown; `place` among all of them gives its colour and its mark."""

    series: Series
    place: int

    @property
    def name(self) -> str:
        return self.series.name

    @property
    def title(self) -> str:
        return self.series.title

    @property
    def budgets(self) -> tuple[str, ...]:
        return self.series.budgets

    @property
    def short(self) -> str:
        """The title without what stands behind a colon."""
        return self.title.split(":")[0]

    def per_token(self, axis: str) -> float | None:
        """None where no step of this model was timed."""
        try:
            return self.series.per_token(axis)
        except ValueError:
            return None


def models(names: Iterable[str] | None, within: Sequence[str] | None = None) -> dict[str, Model]:
    """By name, with their trainings on the budgets `within`, all if None. No names: those of the comparison, and of
    FIRST what is recorded.

    Raises ValueError for a name without a recording, and for a budget that there is not.
    """
    if names is None:
        there = {name for budget in chosen(within) for name in runs.names(budget)}
        offered = {*compared(), *FIRST} & there
        names = [*(name for name in FIRST if name in offered), *sorted(offered.difference(FIRST))]
    names = dict.fromkeys([names] if isinstance(names, str) else names)
    return {name: Model(series(name, within), i) for i, name in enumerate(names)}


# ---- what is compared ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Finding:
    """What can be said of two models where both spent as much of an axis; or, with bytes, what each of them holds.

    `why` there is no verdict: "same" model twice, "untimed", "too little" or "too much" for one's trainings, "seeds".
    `who` is the model that is in the way, `limit` what it spent in its shortest or longest training.
    """

    first: Model
    second: Model
    axis: str
    amount: float = 0.0  # of the axis; with bytes, tokens
    verdict: Verdict | None = None
    seeds: int = 0  # that were paired
    why: str = ""
    who: Model | None = None
    limit: float = 0.0

    @property
    def better(self) -> Model | None:
        """Which has the lower loss; None where the interval contains 0, or where there is no verdict."""
        if self.verdict is None or self.verdict.better is None:
            return None
        return self.first if self.verdict.delta_nats < 0 else self.second

    @property
    def lighter(self) -> Model | None:
        """Which holds fewer bytes; None if both hold about as many."""
        if self.alike:
            return None
        return min(self.first, self.second, key=lambda model: model.series.bytes)

    @property
    def alike(self) -> bool:
        """Whether both hold about as many bytes."""
        a, b = self.first.series.bytes, self.second.series.bytes
        return abs(a - b) <= ALIKE * max(a, b)


def find(first: Model, second: Model, axis: str, amount: float | None = None) -> Finding:
    """first against second at `amount` of an axis; None: the most that both spent. Bytes: at as many tokens."""
    spent = "tokens" if axis == "bytes" else axis
    for model in (first, second):
        if model.per_token(spent) is None:
            return Finding(first, second, axis, why="untimed", who=model)
    if amount is None or axis == "bytes":
        amount = largest_common(first.series, second.series, spent)
    if first.name == second.name:
        return Finding(first, second, axis, amount, why="same")
    pairs = paired(first.series, second.series, spent, amount)
    if pairs is None:
        why, who, limit = _outside((first, second), spent, amount)
        return Finding(first, second, axis, amount, why=why, who=who, limit=limit)
    seeds = len(pairs[0])
    if seeds < 2:
        return Finding(first, second, axis, amount, seeds=seeds, why="seeds")
    return Finding(first, second, axis, amount, equal(first.series, second.series, spent, amount), seeds)


def _outside(both: Sequence[Model], axis: str, amount: float) -> tuple[str, Model, float]:
    """Which of two models was never trained on so little or so much, and its nearest training."""
    for model in both:
        each, tokens = model.per_token(axis), model.series.tokens_for(axis, amount)
        if tokens < model.series.tokens[0]:
            return "too little", model, each * model.series.tokens[0]
        if tokens > model.series.tokens[-1]:
            return "too much", model, each * model.series.tokens[-1]
    raise AssertionError(f"both models were trained on {amount} {axis}")


def summary(first: Model, second: Model) -> list[Finding]:
    """One for each axis."""
    return [find(first, second, axis) for axis in AXES]


# ---- what is drawn ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class End:
    """Where the trainings of one model on one budget ended."""

    budget: str
    amount: float  # of the axis
    losses: tuple[float, ...]  # of each seed, nats per token

    @property
    def mean(self) -> float:
        return statistics.fmean(self.losses)

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """None for a single seed."""
        if len(self.losses) < 2:
            return None
        found = runs.interval(self.losses)
        return found.low, found.high


@dataclass(frozen=True)
class Trace:
    """One model on one axis. Curves are thin (one for each seed) or thick (their mean), of the budgets that are
    shown."""

    model: Model
    thin: tuple[tuple[Point, ...], ...]
    thick: tuple[tuple[Point, ...], ...]
    ends: tuple[End, ...]  # of every budget, the smallest first; with bytes of one

    @property
    def bare(self) -> bool:
        """Whether it has none of the curves that are shown."""
        return not self.thick


@dataclass(frozen=True)
class Scene:
    """All that stands in the figure."""

    axis: str
    traces: tuple[Trace, ...]
    untimed: tuple[Model, ...]  # that have no place on this axis
    amounts: tuple[float, float]  # the ends of the horizontal axis
    losses: tuple[float, float]  # and of the vertical one
    stops: tuple[float, ...] = ()  # where the marker can stand
    at: float | None = None  # where it stands
    read: tuple[tuple[Model, float], ...] = ()  # the mean losses there that are read between two ends
    budget: str = ""  # whose curves are shown; the vertical axis is that of its ends
    uneven: bool = False  # bytes only: no budget that all of these models have


def scene(shown: Sequence[Model], pair: tuple[Model, Model], axis: str, budget: str, at: float) -> Scene:
    """The figure of the models that are `shown`; budget: whose curves, "" for all; at: of the axis, 0 for the most that
    both of a pair spent."""
    if axis == "bytes":
        return held(shown)
    timed = [model for model in shown if model.per_token(axis) is not None]
    untimed = tuple(model for model in shown if model not in timed)
    if not timed:
        return Scene(axis, (), untimed, (1.0, 10.0), (0.0, 1.0))
    every = [trace(model, axis, budget) for model in timed]
    ends = [end for each in every for end in each.ends]
    losses = loss_range([end for end in ends if end.budget == budget] or ends, HEADROOM)
    whole = [trace(model, axis) for model in timed] if budget else every
    begins = [_begin(each, loss_range(ends, HEADROOM)[1]) for each in whole]
    amounts = (min(begins), max(end.amount for end in ends))
    now = Scene(axis, tuple(_cut(each, losses[1]) for each in every), untimed, amounts, losses, budget=budget)
    if not all(model in timed for model in pair):
        return now
    at = at or largest_common(pair[0].series, pair[1].series, axis)
    read = tuple((model, loss) for model in pair if (loss := read_at(model, axis, at)) is not None)
    return replace(now, stops=stops_of(pair, axis, amounts), at=at, read=read)


def _begin(whole: Trace, high: float) -> float:
    """Where on the axis a trace begins: its curves below `high`, and some of the axis left of its first end."""
    curves = [entering(curve, high) for curve in (*whole.thin, *whole.thick)]
    return min([curve[0][0] for curve in curves if curve] + [0.8 * end.amount for end in whole.ends])


def held(shown: Sequence[Model]) -> Scene:
    """Loss over bytes in memory, of the largest budget in tokens that all of the models have."""
    common = {name for name in set.intersection(*(set(model.budgets) for model in shown)) if not runs.in_seconds(name)}
    traces = []
    for model in shown:
        places = [i for i, budget in enumerate(model.budgets) if budget in common or not common]
        end = ends_of(model, None)[places[-1]]
        traces.append(Trace(model, (), (), (End(end.budget, float(model.series.bytes), end.losses),)))
    most = max(trace.ends[0].amount for trace in traces)
    ends = [end for trace in traces for end in trace.ends]
    return Scene("bytes", tuple(traces), (), (0.0, 1.1 * most), loss_range(ends, 0.0), uneven=not common)


def trace(model: Model, axis: str, budget: str = "") -> Trace:
    """A model on an axis; budget: whose curves, "" for all."""
    each = model.per_token(axis)
    thin, thick = [], []
    for recording in model.series.recordings:
        if not budget or recording is model.series.on(budget):
            found = [scaled(run.validation_tokens, run.validation, each) for run in recording.runs]
            thin += found if len(found) > 1 else []
            thick.append(mean_curve(recording, each))
    return Trace(model, tuple(thin), tuple(thick), tuple(ends_of(model, axis)))


def _cut(whole: Trace, high: float) -> Trace:
    thin = tuple(entering(curve, high) for curve in whole.thin)
    return Trace(whole.model, thin, tuple(entering(curve, high) for curve in whole.thick), whole.ends)


def ends_of(model: Model, axis: str | None) -> list[End]:
    """Of every budget, the smallest first; None: without a place on an axis."""
    each = 0.0 if axis is None else model.per_token(axis)
    both = zip(model.budgets, model.series.recordings, strict=True)
    return [End(name, each * recording.tokens, tuple(recording.losses)) for name, recording in both]


def scaled(tokens: Sequence[int], losses: Sequence[float], each: float) -> tuple[Point, ...]:
    return tuple((each * n, loss) for n, loss in zip(tokens, losses, strict=True))


def mean_curve(recording: Recording, each: float) -> tuple[Point, ...]:
    """Over seeds, where all of them were validated; each: of the axis, per token."""
    by_tokens = [dict(zip(run.validation_tokens, run.validation, strict=True)) for run in recording.runs]
    both = sorted(set.intersection(*map(set, by_tokens)))
    return tuple((each * n, statistics.fmean(one[n] for one in by_tokens)) for n in both)


def entering(curve: Sequence[Point], high: float) -> tuple[Point, ...]:
    """The part of a curve from where it comes below `high` for good; it begins on that line."""
    above = [i for i, (_, loss) in enumerate(curve) if loss > high]
    if not above:
        return tuple(curve)
    i = above[-1]
    if i + 1 == len(curve):
        return ()
    (x, y), (next_x, next_y) = curve[i], curve[i + 1]
    part = (y - high) / (y - next_y)
    return ((math.exp(math.log(x) + part * (math.log(next_x) - math.log(x))), high), *curve[i + 1 :])


def loss_range(ends: Sequence[End], over: float) -> tuple[float, float]:
    """Lowest and highest loss of the figure: all seeds and intervals, and `over` nats more."""
    values = [value for end in ends for value in (*end.losses, *(end.interval or ()))]
    low, high = min(values), max(values)
    pad = max(0.02, 0.08 * (high - low))
    return low - pad, high + pad + max(over, 0.3 * (high - low) if over else 0.0)


def stops_of(pair: Sequence[Model], axis: str, amounts: tuple[float, float]) -> tuple[float, ...]:
    """Where the marker can stand: evenly over the axis, on a logarithmic scale, and exactly where trainings ended."""
    low, high = amounts
    ends = {end.amount for model in pair for end in ends_of(model, axis)}
    ratio = (high / low) ** (1 / STEPS)
    grid = [low * ratio**i for i in range(STEPS + 1)]
    free = [at for at in grid if all(abs(math.log(at / end)) > 0.5 * math.log(ratio) for end in ends)]
    return tuple(sorted({*ends, *free}))


def read_at(model: Model, axis: str, amount: float) -> float | None:
    """The mean over seeds of the loss at an amount between two budgets; None elsewhere."""
    tokens = model.series.tokens_for(axis, amount)
    if tokens in model.series.tokens:
        return None
    near = model.series.around(tokens)
    if near is None or not near.seeds:
        return None
    return float(near.losses_at(tokens).mean())
