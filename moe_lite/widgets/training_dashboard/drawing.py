"""The training dashboard as a picture: the curves of all runs beside the load of every expert, as SVG text."""

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from moe_lite.look.palette import expert_class
from moe_lite.look.svg import figure
from moe_lite.metrics import DEAD_BELOW, fair_multiples
from moe_lite.train import StepLog
from moe_lite.widgets.training_dashboard.view import (
    SMOOTH,
    Curve,
    DashboardRun,
    at_step,
    history,
    load_at,
    smoothed,
    thinned,
)

CELL, ROW, HEAD = 30, 27, 58  # px of a cell, of a row, and of the names of the layers
FIRST = 40  # px over the first row
SPARK = 64  # px of the curve of one expert
MANY = 8  # experts, from where cells share the width of the page
LONGEST = 46  # characters that name the dead


@dataclass(frozen=True)
class LoadTable:
    """The loads (L, E) as multiples of the fair share; a dead expert is a frame with a 0.

    `picked`, a (layer, expert), is drawn over all steps of `logs` underneath. width: px of the whole figure. live: each
    cell is a button, which the script puts within reach.
    """

    load: Tensor
    title: str
    width: int
    picked: tuple[int, int] | None = None
    logs: Sequence[StepLog] = ()
    live: bool = False

    @property
    def height(self) -> int:
        return FIRST + len(self.load) * ROW + 20 + (SPARK if self.picked else 0)

    @property
    def n_experts(self) -> int:
        return self.load.shape[1]

    @property
    def cell(self) -> float:
        return CELL if self.n_experts <= MANY else (self.width - HEAD) / self.n_experts

    def svg(self) -> str:
        """The elements of the table; (0, 0) is its corner."""
        shares = fair_multiples(self.load)  # (L, E)
        title = f'<text class="d" x="0" y="12">{html.escape(self.title)}, × fair share</text>'
        rows = "".join(self._row(layer, row) for layer, row in enumerate(shares.tolist()))
        return title + self._badges() + rows + self._dead(shares) + (self._spark() if self.picked else "")

    def _badges(self) -> str:
        if self.cell < 15:
            return ""
        wide, out = min(self.cell - 2, 20), []
        for e in range(self.n_experts):
            x, look = HEAD + e * self.cell + 1, expert_class(e, self.n_experts)
            out.append(f'<rect class="tint {look}" x="{x:.1f}" y="18" width="{wide:.1f}" height="16" rx="3"/>')
            out.append(f'<text class="n0" x="{x + wide / 2:.1f}" y="30">{e}</text>')
        return "".join(out)

    def _row(self, layer: int, shares: list[float]) -> str:
        y = FIRST + layer * ROW
        name = f'<text class="d" x="0" y="{y + 16}">layer {layer + 1}</text>'
        return name + "".join(self._cell(layer, e, y, share) for e, share in enumerate(shares))

    def _cell(self, layer: int, e: int, y: int, share: float) -> str:
        x, dead = HEAD + e * self.cell, share < DEAD_BELOW
        number = "0" if dead else f"{share:.1f}"
        look = "dead" if dead else f"tint {expert_class(e, self.n_experts)}"
        strength = "" if dead else f' fill-opacity="{min(1.0, 0.12 + 0.5 * share):.2f}"'
        box = f'<rect class="{look}" x="{x + 1:.1f}" y="{y}" width="{self.cell - 2:.1f}" height="{ROW - 3}"{strength}/>'
        text = f'<text class="{"bad" if dead else "num"}" x="{x + self.cell / 2:.1f}" y="{y + 16}">{number}</text>'
        says = f"layer {layer + 1}, expert {e}: {number} times its fair share"
        on = " on" if self.picked == (layer, e) else ""
        button = f' data-cell="{layer},{e}" role="button" tabindex="-1" aria-label="{says}"' if self.live else ""
        return f'<g class="cell{on}"{button}><title>{says}</title>{box}{text if self.cell >= 24 else ""}</g>'

    def _dead(self, shares: Tensor) -> str:
        by_layer = [(shares[layer] < DEAD_BELOW).nonzero()[:, 0].tolist() for layer in range(len(shares))]
        named = [f"layer {i + 1}: {', '.join(map(str, dead))}" for i, dead in enumerate(by_layer) if dead]
        if not named:
            return ""
        text = f"{sum(map(len, by_layer))} dead · {' · '.join(named)}"
        text = text if len(text) <= LONGEST else text[:LONGEST] + "…"
        return f'<text class="bad" x="0" y="{FIRST + len(shares) * ROW + 12}">{text}</text>'

    def _spark(self) -> str:
        """One expert's share at every step."""
        layer, expert = self.picked
        top, right = self.height - SPARK, HEAD + self.n_experts * self.cell
        points = history(self.logs, layer, expert)
        highest, steps = max(2.0, max(share for _, share in points)), max(1, points[-1][0])
        places = [(HEAD + (right - HEAD) * step / steps, top + 34 - 30 * share / highest) for step, share in points]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        return (
            f'<text class="d" x="0" y="{top + 12}">layer {layer + 1}</text>'
            f'<text class="d" x="0" y="{top + 26}">expert {expert}</text>'
            f'<path class="grid" d="M{HEAD} {top + 34 - 30 / highest:.1f}H{right:.1f}"/>'
            f'<polyline class="spark {expert_class(expert, self.n_experts)}" points="{line}"/>'
            f'<text class="d" x="{right:.1f}" y="{top + 48}" text-anchor="end">'
            f"over all steps; the line is the fair share, the top {highest:.1f} ×</text>"
        )


WIDEST, TWIN = 812, 760  # px that the figure is drawn for at most, and in the picture that stays
TOP, HEIGHT, FOOT = 22, 210, 34  # px over, of and under the axes
SCRUB = 34  # px more under them, where the script puts the slider of the step and what stands under it
LEFT, NAMES = 34, 146  # px for the numbers of the vertical axis, and for the names at the line ends
LETTER, LINE = 5.9, 13  # px of a letter and of a line of these names, about
DASHES = ("5 3", "2 3", "8 3 2 3", "")


@dataclass(frozen=True)
class Axes:
    """Steps and losses to px."""

    steps: int
    low: float
    high: float
    width: float

    def x(self, step: float) -> float:
        return LEFT + self.width * step / max(1, self.steps)

    def y(self, loss: float) -> float:
        return TOP + HEIGHT * (self.high - loss) / max(1e-9, self.high - self.low)


@dataclass(frozen=True)
class Line:
    """One curve of the plot and the name at its end; `raw` is drawn thin under it."""

    name: str
    points: Sequence[tuple[int, float]]
    focus: bool = False
    note: str = ""
    raw: Sequence[tuple[int, float]] = ()

    def label(self, axes: Axes) -> "Label":
        step, loss = self.points[-1]
        said = ("now " if self.note == "now" else "") + f"{loss:.2f} · {self.name}"
        lines = [said] if self.note in ("", "now") else [said, self.note]
        return Label(axes.x(step) + 8, axes.y(loss), lines, "nm b" if self.focus else "nm d")


@dataclass
class Label:
    """Lines of text beside (x, y), the middle of their left edge."""

    x: float
    y: float
    lines: list[str]
    look: str

    @property
    def width(self) -> float:
        return LETTER * max(map(len, self.lines))

    @property
    def height(self) -> float:
        return LINE * len(self.lines)

    def svg(self) -> str:
        first = self.y - self.height / 2 + LINE - 3
        return "".join(
            f'<text class="{self.look}" x="{self.x:.1f}" y="{first + i * LINE:.1f}">{html.escape(line)}</text>'
            for i, line in enumerate(self.lines)
        )


@dataclass(frozen=True)
class DashboardDrawing:
    """runs oldest first, the last one in focus; `step` is the one that is looked at, `picked` a (layer, expert).

    steps: of the axis while nothing has been trained; live: with room for the slider under the axis,
    and with cells that can be picked.
    """

    runs: Sequence[DashboardRun]
    beside: Mapping[str, Curve]
    step: int
    width: int
    picked: tuple[int, int] | None = None
    steps: int = 100
    live: bool = False

    def svg(self, label: str) -> str:
        """The whole figure, with `label` as its text alternative."""
        _, table, (width, height) = self._layout()
        body = self._curves()
        if self._table is not None:
            body += f'<g transform="translate({table[0]},{table[1]})">{self._table.svg()}</g>'
        return figure(body, width, height, label, "training", "group" if self.live else "img")

    def places(self) -> dict[str, float]:
        """Where the script finds the axis of the steps, in px of the figure, and how many steps it has."""
        _, _, (width, height) = self._layout()
        at = {"figure": width, "height": height, "left": LEFT, "width": self.axes.width}
        return at | {"bottom": TOP + HEIGHT + FOOT - 12, "steps": self.axes.steps}

    # ---- places ------------------------------------------------------------------------------------------------------

    @property
    def _focus(self) -> DashboardRun | None:
        return self.runs[-1] if self.runs and self.runs[-1].logs else None

    @cached_property
    def _table(self) -> LoadTable | None:
        """The loads at the step that is looked at; before the first one those of a curve beside; None if dense."""
        if self._focus is None:
            curves = ((name, curve) for name, curve in self.beside.items() if curve.load is not None)
            name, curve = next(curves, ("", None))
            return curve and LoadTable(curve.load, f"{name}: load at its end", self.width)
        logs = self._focus.logs
        index = at_step(logs, self.step)
        load, title = load_at(logs, index), f"load at step {logs[index].step:,}"
        return LoadTable(load, title, self.width, self.picked, logs, self.live) if load.numel() else None

    def _layout(self) -> tuple[float, tuple[float, float], tuple[int, int]]:
        """Width of the axes, place of the table, size of it all."""
        bottom = TOP + HEIGHT + FOOT + (SCRUB if self.live else 0)
        if self._table is None:
            return self.width - LEFT - NAMES, (0, 0), (self.width, bottom)
        experts, tall = self._table.n_experts, self._table.height
        beside = self.width - LEFT - NAMES - HEAD - experts * CELL - 12
        if experts <= MANY and beside >= 220:
            return beside, (self.width - HEAD - experts * CELL, 0), (self.width, max(bottom, tall))
        return self.width - LEFT - NAMES, (0, bottom + 8), (self.width, bottom + 8 + tall)

    # ---- curves ------------------------------------------------------------------------------------------------------

    @cached_property
    def _lines(self) -> list[Line]:
        """Every curve, recorded ones first. Of a training: the mean of the last steps, and what it is a mean of."""
        lines = []
        for name, curve in self.beside.items():
            lines.append(Line(name, [*zip(curve.steps, curve.loss, strict=True)], note=curve.note))
        for run in self.runs:
            logs = list(run.logs)
            if not logs:
                continue
            focus = run is self.runs[-1]
            raw = [(log.step, log.cross_entropy) for log in thinned(logs)] if focus else ()
            note = "now" if focus and run.state == "running" else ""
            lines.append(Line(run.name, thinned(smoothed(logs)), focus, note, raw))
        return lines

    @cached_property
    def axes(self) -> Axes:
        lines = self._lines
        steps = max([run.total for run in self.runs] + [line.points[-1][0] for line in lines], default=self.steps)
        losses = [y for line in lines for _, y in (*line.points, *line.raw)]
        low, high = (math.floor(min(losses)), math.ceil(max(losses))) if losses else (0, 8)
        return Axes(steps, low, max(high, low + 1), self._layout()[0])

    def _curves(self) -> str:
        return self._frame() + "".join(map(self._line, self._lines)) + self._names() + self._cursor() + self._grab()

    def _frame(self) -> str:
        axes = self.axes
        span = axes.high - axes.low
        ticks = range(int(axes.low), int(axes.high) + 1, 2 if span > 6 else 1)
        says = f"training loss, nats per token: mean of {SMOOTH} steps; ○ validation"
        out = [f'<text class="d" x="{LEFT}" y="12">{says}</text>']
        for loss in ticks:
            y = axes.y(loss)
            out.append(f'<path class="grid" d="M{LEFT} {y:.1f}h{axes.width:.1f}"/>')
            out.append(f'<text class="d" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{loss}</text>')
        bottom = TOP + HEIGHT
        out.append(f'<path class="ax" d="M{LEFT} {bottom}h{axes.width:.1f}"/>')
        last = 4 if axes.width >= 320 else 2  # so that no number touches the next
        for i in range(last + 1):
            step = axes.steps * i // last
            anchor = "end" if i == last else "middle" if i else "start"
            text = f"{step:,}" + (" steps" if i == last else "")
            out.append(f'<text class="d" x="{axes.x(step):.1f}" y="{bottom + 16}" text-anchor="{anchor}">{text}</text>')
        return "".join(out)

    def _line(self, line: Line) -> str:
        def drawn(points: Sequence[tuple[int, float]], look: str, dash: str = "") -> str:
            path = " ".join(f"{self.axes.x(x):.1f},{self.axes.y(y):.1f}" for x, y in points)
            return f'<polyline class="{look}" points="{path}"{dash}/>'

        if not line.focus:
            dash = DASHES[self._lines.index(line) % len(DASHES)]
            return drawn(line.points, "then", f' stroke-dasharray="{dash}"' if dash else "")
        step, loss = line.points[-1]
        end = f'<circle class="end" cx="{self.axes.x(step):.1f}" cy="{self.axes.y(loss):.1f}" r="3"/>'
        return drawn(line.raw, "raw") + drawn(line.points, "now") + end + self._validation()

    def _validation(self) -> str:
        found = [(log.step, log.validation) for log in self._focus.logs if log.validation]
        means = [(step, sum(by.values()) / len(by)) for step, by in found]
        return "".join(
            f'<circle class="val" cx="{self.axes.x(step):.1f}" cy="{self.axes.y(loss):.1f}" r="3.5"/>'
            for step, loss in means
        )

    def _names(self) -> str:
        """Each at the end of its line, or as near to it as it may be without covering another."""
        labels = sorted((line.label(self.axes) for line in self._lines), key=lambda label: label.y)
        for _ in range(60):
            for i, upper in enumerate(labels):
                for lower in labels[i + 1 :]:
                    aside = upper.x + upper.width < lower.x or lower.x + lower.width < upper.x
                    missing = (upper.height + lower.height) / 2 - (lower.y - upper.y)
                    if missing > 0 and not aside:
                        upper.y, lower.y = upper.y - missing / 2, lower.y + missing / 2
        return "".join(label.svg() for label in labels)

    def _cursor(self) -> str:
        if self._focus is None:
            return ""
        at = f'transform="translate({self.axes.x(self.step):.1f} {TOP})"'
        return f'<path class="cursor" d="M0 0v{HEIGHT + FOOT if self.live else HEIGHT}" {at}/>'

    def _grab(self) -> str:
        """The area in which the hand can drag the line."""
        if self._focus is None or not self.live:
            return ""
        box = f'x="{LEFT}" y="{TOP}" width="{self.axes.width:.1f}" height="{HEIGHT + FOOT}"'
        return f'<rect class="grab" data-grab="" {box}/>'
