"""What the training dashboard shows: runs, recorded curves, and numbers of one step read off a stream of StepLog."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from moe_lite.lab.live import LiveRun
from moe_lite.lab.runs import Recording
from moe_lite.metrics import dead_experts, fair_multiples, load_entropy
from moe_lite.train import StepLog, Training

WINDOW = 20  # steps that loads, speed and time left are taken over
SMOOTH = 10  # steps that the loss is a mean of, as a number and as a curve; the single steps are drawn pale under it
POINTS = 240  # of a curve, at most


@dataclass(frozen=True)
class Curve:
    """A recorded curve, drawn in grey beside what is live."""

    steps: Sequence[int]
    loss: Sequence[float]  # nats per token
    note: str = "recorded"  # stands under the name
    load: Tensor | None = field(default=None, compare=False)  # (L, E) int64 at its end; None: not known, or dense

    def __post_init__(self) -> None:
        if len(self.steps) != len(self.loss) or not self.steps:
            raise ValueError(f"A curve has {len(self.steps)} steps and {len(self.loss)} losses; expected as many, ≥ 1.")


def curve_of(beside: "Curve | Recording | DashboardRun", steps: int) -> Curve:
    """What is drawn beside a training of `steps` steps: of a recording its first seed, as far as the axis reaches."""
    if isinstance(beside, DashboardRun):
        return beside.curve
    if not isinstance(beside, Recording):
        return beside
    run, per_step = beside.runs[0], beside.train.batch_size * beside.train.length
    points = [(tokens // per_step, loss) for tokens, loss in zip(run.tokens, run.train_loss, strict=True)]
    shown = [point for point in points if point[0] <= steps] or points[:1]
    cut = "" if len(shown) == len(points) else f", of {beside.train.steps:,} steps"
    return Curve(*zip(*shown, strict=True), note=f"recorded{cut}", load=run.load_table if run.load else None)


@dataclass
class DashboardRun:
    """One training of the dashboard: its model, its run, and every log so far."""

    name: str
    n_experts: int
    top_k: int
    training: Training
    live: LiveRun[StepLog] | None = None

    @property
    def model(self):
        return self.training.model

    @property
    def logs(self) -> list[StepLog]:
        """Oldest first."""
        return self.live.logs if self.live is not None else []

    @property
    def state(self) -> str:
        return self.live.state if self.live is not None else "ready"

    @property
    def curve(self) -> Curve:
        """Its loss so far, to be drawn beside another training."""
        load = load_at(self.logs, len(self.logs) - 1)
        load = load if load.numel() else None
        return Curve(*zip(*thinned(smoothed(self.logs)), strict=True), note="trained before", load=load)

    @property
    def total(self) -> int:
        """Steps that it is to take."""
        return self.training.config.steps


def at_step(logs: Sequence[StepLog], step: int) -> int:
    """The index of the log of `step`, of the last one before it, or of the first; logs must not be empty."""
    first = logs[0].step
    return min(max(step - first, 0), len(logs) - 1)


def load_at(logs: Sequence[StepLog], index: int) -> Tensor:
    """(L, E) int64: assignments over the last WINDOW steps up to logs[index]; (0, 0) for a dense model."""
    return torch.stack([log.load for log in logs[max(0, index + 1 - WINDOW) : index + 1]]).sum(dim=0)


def history(logs: Sequence[StepLog], layer: int, expert: int) -> list[tuple[int, float]]:
    """(step, multiple of the fair share) of one expert, over all steps, at most POINTS of them."""
    return [(log.step, float(fair_multiples(log.load)[layer, expert])) for log in thinned(logs)]


def smoothed(logs: Sequence[StepLog]) -> list[tuple[int, float]]:
    """(step, mean loss of the last SMOOTH steps) at every step."""
    losses = [log.cross_entropy for log in logs]
    return [(log.step, statistics.fmean(losses[max(0, i + 1 - SMOOTH) : i + 1])) for i, log in enumerate(logs)]


def thinned(logs: Sequence) -> list:
    """At most POINTS of them, evenly, the last one among them."""
    stride = -(-len(logs) // POINTS)
    return list(logs[(len(logs) - 1) % stride :: stride]) if logs else []


@dataclass(frozen=True)
class Numbers:
    """The key figures at one step."""

    step: int
    loss: float  # mean of the last SMOOTH steps
    tokens_per_second: float
    seconds_left: float | None  # None before WINDOW / 2 steps, and where nothing is left
    dead: int | None  # None for a dense model
    n_cells: int  # layers × experts
    entropy: float | None
    balance_loss: float
    dropped: float  # share of assignments

    @property
    def is_dense(self) -> bool:
        return self.dead is None


def numbers(logs: Sequence[StepLog], index: int, total: int) -> Numbers:
    """Key figures at logs[index]; speed and time left are those of the newest step."""
    log, newest = logs[index], logs[-1]
    load = load_at(logs, index)
    seconds = _step_seconds(logs)
    left = seconds * (total - newest.step) if newest.step >= WINDOW // 2 and newest.step < total else None
    tokens = newest.tokens / newest.step
    assignments = int(log.load.sum())
    return Numbers(
        step=log.step,
        loss=smoothed(logs[max(0, index + 1 - SMOOTH) : index + 1])[-1][1],
        tokens_per_second=tokens / seconds,
        seconds_left=left,
        dead=int(dead_experts(load).sum()) if load.numel() else None,
        n_cells=load.numel(),
        entropy=float(load_entropy(load).mean()) if load.numel() else None,
        balance_loss=log.balance_loss,
        dropped=float(log.dropped.sum()) / assignments if assignments else 0.0,
    )


def _step_seconds(logs: Sequence[StepLog]) -> float:
    """The median time of one of the last WINDOW steps."""
    recent = [log.seconds for log in logs[-WINDOW - 1 :]]
    if logs[0].step == 1 and len(logs) <= WINDOW:
        recent = [0.0, *recent]
    steps = [b - a for a, b in zip(recent, recent[1:], strict=False)]
    return max(statistics.median(steps), 1e-9) if steps else max(recent[-1], 1e-9) / logs[-1].step
