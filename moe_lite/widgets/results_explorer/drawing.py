"""The results explorer as a picture: curves and ends of recorded trainings as SVG, four verdicts as a table."""

import html
import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from moe_lite.lab.runs import in_words
from moe_lite.look.palette import N_HUES
from moe_lite.look.svg import figure
from moe_lite.look.words import number
from moe_lite.widgets.results_explorer.view import End, Finding, Model, Point, Scene, Trace
from moe_lite.widgets.results_explorer.words import axis_title, condition, row_words, tick_text

WIDEST, TWIN, NARROWEST = 812, 760, 460  # px
LEFT, TOP, HEIGHT, FOOT = 40, 24, 248, 38  # px for numbers at the left, over, of and under the axes
SCRUB = 40  # px more under them, where the script puts the slider of the marker and what stands under it
NAMES, FEW_NAMES = 190, 128  # px for the names at the right; in a narrow figure
GAP = 30  # px between axes and names, for the lines that lead to them
LETTER, LINE, ABOVE = 6.2, 13, 3  # px of a letter and of a line of these names; between two names
DODGE, MOST_DODGE = 6, 30  # px between ends that would cover each other; for all of them together
TICK = 50  # px from a number of the horizontal axis to the next, at least
EVEN = [[1 + i / parts for i in range(9 * parts)] for parts in (10, 5, 2, 1)]  # steps of an axis, the finest first
STRIP, STRIP_HEIGHT = 150, 18  # px of an interval in the table
# shapes of about one area, around (0, 0): with the hue they tell models apart, and without it
SHAPES = (
    "M-4 0A4 4 0 1 0 4 0A4 4 0 1 0 -4 0Z",
    "M-3.6 -3.6H3.6V3.6H-3.6Z",
    "M0 -5L5 0L0 5L-5 0Z",
    "M0 -4.8L4.8 3.6H-4.8Z",
    "M0 4.8L4.8 -3.6H-4.8Z",
)


def look(model: Model) -> str:
    """The class of a model's colour."""
    return f"e{model.place % N_HUES}"


def shape(model: Model) -> str:
    """The path of a model's mark."""
    return SHAPES[model.place % len(SHAPES)]


def mark_html(model: Model) -> str:
    """A model's mark inside a line of HTML."""
    return (
        f'<svg class="sw {look(model)}" width="12" height="12" viewBox="-6 -6 12 12" aria-hidden="true">'
        f'<path class="end" d="{shape(model)}"/></svg>'
    )


# ---- the figure ------------------------------------------------------------------------------------------------------


@dataclass
class Name:
    """A model's name at the right, and the end that it belongs to."""

    model: Model
    lines: list[str]
    end: Point  # px
    y: float  # of its middle

    @property
    def height(self) -> float:
        return LINE * len(self.lines) + ABOVE


@dataclass(frozen=True)
class ResultsDrawing:
    """A scene in `width` px. live: with room for the slider under the axis and a marker that can be dragged."""

    now: Scene
    width: int
    live: bool = False

    def svg(self, label: str) -> str:
        """The figure, with `label` as its text alternative."""
        body = self._frame() + "".join(map(self._trace, self.now.traces)) + self._names() + self._marker()
        height = TOP + HEIGHT + FOOT + (SCRUB if self.live and self.now.at is not None else 0)
        return figure(body, self.width, height, label, "results", "group" if self.live else "img")

    def places(self) -> dict[str, float]:
        """Where the script finds the axis, in px of the figure, and the amounts at its ends."""
        height = TOP + HEIGHT + FOOT + SCRUB
        low, high = self.now.amounts
        at = {"figure": self.width, "height": height, "left": LEFT, "width": self.wide, "top": TOP}
        return at | {"bottom": TOP + HEIGHT + FOOT - 6, "low": low, "high": high}

    # ---- places

    @property
    def roomy(self) -> bool:
        return self.width >= 640

    @property
    def wide(self) -> float:
        """px of the horizontal axis"""
        return self.width - LEFT - GAP - (NAMES if self.roomy else FEW_NAMES)

    def x(self, amount: float) -> float:
        """Logarithmic, but for bytes, which begin at 0."""
        low, high = self.now.amounts
        if self.now.axis == "bytes":
            return LEFT + self.wide * amount / high
        return LEFT + self.wide * (math.log(amount) - math.log(low)) / max(1e-9, math.log(high) - math.log(low))

    def y(self, loss: float) -> float:
        low, high = self.now.losses
        return TOP + HEIGHT * (high - loss) / (high - low)

    @cached_property
    def aside(self) -> dict[tuple[str, str], float]:
        """(model, budget) -> px by which an end is drawn beside its place, so that no interval covers another."""
        ends = [(self.x(end.amount), trace.model.name, end.budget) for trace in self.now.traces for end in trace.ends]
        groups: list[list[tuple[float, str, str]]] = []
        for end in sorted(ends, key=lambda end: end[0]):
            if groups and end[0] - groups[-1][0][0] < DODGE:
                groups[-1].append(end)
            else:
                groups.append([end])
        order = [trace.model.name for trace in self.now.traces]
        moved = {}
        for group in groups:
            step = min(DODGE, MOST_DODGE / max(1, len(group) - 1)) if len(group) > 1 else 0
            group.sort(key=lambda end: order.index(end[1]))
            for i, (_, name, budget) in enumerate(group):
                moved[name, budget] = step * (i - (len(group) - 1) / 2)
        return moved

    def place(self, trace: Trace, end: End) -> Point:
        return self.x(end.amount) + self.aside[trace.model.name, end.budget], self.y(end.mean)

    # ---- axes

    def _frame(self) -> str:
        out = ['<text class="d" x="0" y="12">validation loss, nats per token</text>']
        for loss, text in loss_ticks(*self.now.losses):
            y = self.y(loss)
            out.append(f'<path class="grid" d="M{LEFT} {y:.1f}h{self.wide:.1f}"/>')
            out.append(f'<text class="d" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
        bottom = TOP + HEIGHT
        out.append(f'<path class="ax" d="M{LEFT} {bottom}h{self.wide:.1f}"/>')
        for amount in self.amounts():
            x = self.x(amount)
            out.append(f'<path class="ax" d="M{x:.1f} {bottom}v4"/>')
            text = tick_text(self.now.axis, amount)
            out.append(f'<text class="d" x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{text}</text>')
        end = LEFT + self.wide
        title = axis_title(self.now.axis)
        out.append(f'<text class="d" x="{end:.1f}" y="{bottom + 31}" text-anchor="end">{title}</text>')
        return "".join(out)

    def amounts(self) -> list[float]:
        """Round amounts, as many as there is room for: evenly from 0 with bytes, else in equal steps or as 1, 2, 5."""
        low, high = self.now.amounts
        if self.now.axis == "bytes":
            power = 10 ** math.floor(math.log10(high / 4))
            step = next(m * power for m in (1, 2, 5, 10, 20, 50) if self.x(m * power) - LEFT >= TICK)
            return [i * step for i in range(int(high / step) + 1)]
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        ticks = []
        for steps in (*EVEN, (1, 1.5, 2, 3, 5, 7), (1, 2, 3, 5), (1, 2, 5), (1,)):
            ticks = [m * 10**power for power in powers for m in steps if low <= m * 10**power <= high]
            places = [self.x(tick) for tick in ticks]
            if all(right - left >= TICK for left, right in zip(places, places[1:], strict=False)):
                break
        return ticks

    # ---- models

    def _trace(self, trace: Trace) -> str:
        ends = [self.place(trace, end) for end in trace.ends]
        curves = "".join(self._line(curve, "seed") for curve in trace.thin)
        curves += "".join(self._line(curve, "mean") for curve in trace.thick)
        joins = "".join(map(self._join, ends, ends[1:]))
        marks = "".join(self._end(trace, end) for end in trace.ends if self._inside(self.y(end.mean)))
        return f'<g class="{look(trace.model)}">{curves}{joins}{marks}</g>'

    @staticmethod
    def _inside(y: float) -> bool:
        return TOP - 1 <= y <= TOP + HEIGHT + 1

    def _join(self, one: Point, other: Point) -> str:
        """The dashed line between two ends, as far as it is in the figure."""
        (x, y), (to_x, to_y) = one, other
        if to_y != y:  # the parts of it at which it crosses the upper and the lower edge
            crossed = sorted((edge - y) / (to_y - y) for edge in (TOP, TOP + HEIGHT))
            begin, stop = max(0.0, crossed[0]), min(1.0, crossed[1])
        else:
            begin, stop = (0.0, 1.0) if self._inside(y) else (1.0, 0.0)
        if begin >= stop:
            return ""
        points = [(x + part * (to_x - x), y + part * (to_y - y)) for part in (begin, stop)]
        return f'<path class="join" d="M{points[0][0]:.1f} {points[0][1]:.1f}L{points[1][0]:.1f} {points[1][1]:.1f}"/>'

    def _line(self, curve: Sequence[Point], name: str) -> str:
        if len(curve) < 2:
            return ""
        points = " ".join(f"{self.x(amount):.1f},{self.y(loss):.1f}" for amount, loss in curve)
        return f'<polyline class="{name}" points="{points}"/>'

    def _end(self, trace: Trace, end: End) -> str:
        """The mean with its interval; with bytes every seed, too."""
        x, y = self.place(trace, end)
        says = f"{trace.model.title}, {in_words(end.budget)}: {number(end.mean, 3)} nats per token"
        whisker = seeds = ""
        if end.interval is not None:
            low, high = (min(max(self.y(edge), TOP), TOP + HEIGHT) for edge in end.interval)
            caps = "".join(f"M{x - 3:.1f} {edge:.1f}h6" for edge in (low, high))
            whisker = f'<path class="whisker" d="M{x:.1f} {low:.1f}V{high:.1f}{caps}"/>'
            says += f", 95 % interval {number(end.interval[0], 3)} to {number(end.interval[1], 3)}"
        if self.now.axis == "bytes":
            rows = (f'<circle class="one" cx="{x + 9:.1f}" cy="{self.y(loss):.1f}" r="2"/>' for loss in end.losses)
            seeds = "".join(rows) if len(end.losses) > 1 else ""
        dot = f'<path class="end" transform="translate({x:.1f} {y:.1f})" d="{shape(trace.model)}"/>'
        return f"<g><title>{html.escape(says)}</title>{whisker}{seeds}{dot}</g>"

    @cached_property
    def names(self) -> list[Name]:
        """Of all models of which an end is in the figure, from the top, without covering each other."""
        left = self.width - (NAMES if self.roomy else FEW_NAMES) + 14
        letters = int((self.width - left) / LETTER)
        found = []
        for trace in self.now.traces:
            places = [self.place(trace, end) for end in trace.ends]
            seen = [place for place in places if self._inside(place[1])]
            if not seen:
                continue
            x, y = seen[-1]
            found.append(Name(trace.model, wrapped(trace.model.short, letters), (x, y), y))
        found.sort(key=lambda name: name.y)
        return spread_out(found, TOP, TOP + HEIGHT)

    def _names(self) -> str:
        x = self.width - (NAMES if self.roomy else FEW_NAMES)
        out = []
        for name in self.names:
            first = name.y - LINE * len(name.lines) / 2 + LINE - 3
            lead = f"M{name.end[0] + 6:.1f} {name.end[1]:.1f}L{LEFT + self.wide + 12:.1f} {name.end[1]:.1f}"
            lead += f"L{x - 8:.1f} {name.y:.1f}"
            mark = f'<path class="end" transform="translate({x + 3:.1f} {name.y:.1f})" d="{shape(name.model)}"/>'
            texts = "".join(
                f'<text class="nm" x="{x + 14:.1f}" y="{first + i * LINE:.1f}">{html.escape(line)}</text>'
                for i, line in enumerate(name.lines)
            )
            out.append(f'<g class="{look(name.model)}"><path class="lead" d="{lead}"/>{mark}{texts}</g>')
        return "".join(out)

    # ---- the marker

    def _marker(self) -> str:
        now = self.now
        if now.at is None:
            return ""
        at = f'transform="translate({self.x(now.at):.1f} {TOP})"'
        out = f'<path class="cursor" d="M0 0v{HEIGHT + FOOT - 6 if self.live else HEIGHT}" {at}/>'
        inside = [(model, loss) for model, loss in now.read if self._inside(self.y(loss))]
        for model, loss in inside:
            out += f'<circle class="there {look(model)}" cx="{self.x(now.at):.1f}" cy="{self.y(loss):.1f}" r="3"/>'
        if self.live:
            box = f'x="{LEFT - 8}" y="{TOP}" width="{self.wide + 16:.1f}" height="{HEIGHT + FOOT - 8}"'
            out += f'<rect class="grab" data-grab="" {box}/>'
        return out


def wrapped(title: str, letters: int) -> list[str]:
    """A name in two lines at most."""
    return textwrap.wrap(title, letters, max_lines=2, placeholder=" …") or [title[:letters]]


def spread_out(names: list[Name], top: float, bottom: float) -> list[Name]:
    """Names that are sorted by y, moved apart and, as far as there is room, between top and bottom."""
    for _ in range(200):
        for upper, lower in zip(names, names[1:], strict=False):
            missing = (upper.height + lower.height) / 2 - (lower.y - upper.y)
            if missing > 0:
                upper.y, lower.y = upper.y - missing / 2, lower.y + missing / 2
        for name in names:
            name.y = min(max(name.y, top + name.height / 2), bottom - name.height / 2)
    room = top  # what is still missing goes under the axis
    for name in names:
        name.y = max(name.y, room + name.height / 2)
        room = name.y + name.height / 2
    return names


def loss_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Round losses, four to eight of them."""
    step = next(step for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10) if (high - low) / step <= 8)
    decimals = 2 if step < 0.1 else 1
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [(i * step, f"{i * step:.{decimals}f}") for i in range(first, last + 1)]


# ---- the table of verdicts -------------------------------------------------------------------------------------------


def summary_html(rows: Sequence[Finding], axis: str) -> str:
    """One row for each axis; that of the figure is marked."""
    first, second = rows[0].first, rows[0].second
    sides = f'<span class="sides"><i>{mark_html(first)} better</i><i>better {mark_html(second)}</i></span>'
    head = f"<th>at the most that both spent</th><th>verdict</th><th>difference in loss (95 %)</th><th>{sides}</th>"
    most = max((max(abs(row.verdict.low), abs(row.verdict.high)) for row in rows if drawn(row)), default=0.0) or 1.0
    body = "".join(_row(row, most, row.axis == axis) for row in rows)
    return f'<table class="four"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def drawn(row: Finding) -> bool:
    """Whether a row has an interval of its own."""
    return row.verdict is not None and row.axis != "bytes"


def _row(row: Finding, most: float, on: bool) -> str:
    (what, amount), (word, numbers) = condition(row), row_words(row)
    winner = row.lighter if row.axis == "bytes" else row.better
    mark = mark_html(winner) if winner else ""
    strip = strip_svg(row, most) if drawn(row) else ""
    cells = (
        f'<th scope="row">{what}{f" <span>{amount}</span>" if amount else ""}</th>'
        f'<td class="{"won" if winner else "open"}">{mark}{html.escape(word)}</td>'
        f'<td class="num">{html.escape(numbers)}</td><td class="strip">{strip}</td>'
    )
    return f'<tr class="{"on" if on else "off"}">{cells}</tr>'


def strip_svg(row: Finding, most: float) -> str:
    """The interval around a line at 0; left of it the first model is better. An open dot: it contains 0."""
    middle, half = STRIP / 2, STRIP / 2 - 8
    mean, low, high = (
        middle + half * value / most for value in (row.verdict.delta_nats, row.verdict.low, row.verdict.high)
    )
    y = STRIP_HEIGHT / 2
    model = row.better
    dot = (
        f'<path class="end" transform="translate({mean:.1f} {y})" d="{shape(model)}"/>'
        if model
        else f'<circle class="none" cx="{mean:.1f}" cy="{y}" r="3.5"/>'
    )
    body = (
        f'<path class="zero" d="M{middle} 0V{STRIP_HEIGHT}"/><path class="whisker" d="M{low:.1f} {y}H{high:.1f}"/>{dot}'
    )
    colour = look(model) if model else "even"
    return (
        f'<svg class="st {colour}" width="{STRIP}" height="{STRIP_HEIGHT}" viewBox="0 0 {STRIP} {STRIP_HEIGHT}" '
        f'aria-hidden="true">{body}</svg>'
    )


def table_html(now: Scene) -> str:
    """The ends as a table, for pages that drop SVG."""
    rows = ""
    for trace in now.traces:
        for end in trace.ends:
            spread = "" if end.interval is None else f"{number(end.interval[0], 3)} to {number(end.interval[1], 3)}"
            cells = (trace.model.title, in_words(end.budget), number(end.mean, 3), spread, str(len(end.losses)))
            rows += f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>"
    heads = ("model", "budget", "loss", "95 % interval", "seeds")
    return f"<table><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>{rows}</table>"
