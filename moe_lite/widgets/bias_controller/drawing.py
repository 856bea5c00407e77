"""The bias controller as a picture: loads above, biases below, over the steps; the run before stays behind, pale."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from moe_lite.look.palette import expert_class
from moe_lite.look.svg import figure
from moe_lite.widgets.bias_controller.view import STEPS, Controlled
from moe_lite.widgets.kit.widget import badge_html

WIDEST, NARROWEST = 812, 460  # px
LEFT, TOP, TALL, GAP, FOOT = 44, 20, 150, 40, 26  # px; TALL: of each of the two panels, at least
LEADER, BADGE, ROW = (
    34,
    20,
    13,
)  # px at the right: from a curve's end to its numeral, the numeral's width, and its height
RIGHT = LEADER + BADGE + 4
MOST_LOAD = 4.0  # times the fair share; what is above is drawn at the edge
RANGES = (0.1, 1.0, 15.0, 100.0)  # of the axis of biases, so that it stands still from move to move


def drawing(now: Controlled, before: Controlled | None, width: int, label: str) -> str:
    """Both panels of this run and, behind it, of the one before; `label` is the text alternative."""
    high = bias_range(now, before)
    tall = max(TALL, ROW * (now.settings.n_experts - 1))
    panels = [
        Panel("load, in fair shares (mean of 5 steps)", loads(now), before and loads(before), 0.0, MOST_LOAD,
              (0, 1, 2, 4), TOP, tall, width),
        Panel(f"selection bias, axis from −{high:g} to {high:g}", now.bias, before and before.bias, -high, high,
              (-high, -high / 2, 0, high / 2, high), TOP + tall + GAP, tall, width),
    ]  # fmt: skip
    height = TOP + 2 * tall + GAP + FOOT
    body = "".join(panel.svg() for panel in panels) + _frozen(now, width, tall, height)
    ticks = "".join(
        f'<text class="d" x="{_x(step, width):.1f}" y="{height - 8}" text-anchor="middle">{step}</text>'
        for step in (0, 50, 100, 150, STEPS)
    )
    name = f'<text class="d" x="{_x(25, width):.1f}" y="{height - 8}" text-anchor="middle">step</text>'
    return figure(f"{body}{ticks}{name}", width, height, label, "bias")


def bias_range(*runs: Controlled | None) -> float:
    """How far the axis of biases goes up and down: the smallest of a few ranges that holds all the runs."""
    reach = max(run.bias.abs().max().item() for run in runs if run is not None)
    return next((high for high in RANGES if reach <= high), 10.0 ** math.ceil(math.log10(max(reach, RANGES[-1]))))


def loads(run: Controlled) -> Tensor:
    """In fair shares, the mean of a step and the four before it, (STEPS, E)."""
    shares = run.load / run.load.float().mean(dim=1, keepdim=True)
    padded = torch.cat([shares[:1].expand(4, -1), shares])
    return padded.unfold(0, 5, 1).mean(dim=-1)


def _x(step: float, width: int) -> float:
    return LEFT + step / STEPS * (width - LEFT - RIGHT)


@dataclass(frozen=True)
class Panel:
    """Curves (STEPS, E) between `low` and `high`; from each one's end a line leads to its expert's numeral."""

    title: str
    values: Tensor
    before: Tensor | None  # of the run before, drawn behind
    low: float
    high: float
    ticks: Sequence[float]
    top: float
    tall: float
    width: int

    def svg(self) -> str:
        title = f'<text x="{LEFT}" y="{self.top - 7}">{self.title}</text>'
        ghost = "" if self.before is None else f'<g class="ghost">{self._curves(self.before)}</g>'
        return title + "".join(map(self._tick, self.ticks)) + ghost + self._curves(self.values) + self._ends()

    def y(self, value: float) -> float:
        value = min(self.high, max(self.low, value))
        return self.top + (self.high - value) / (self.high - self.low) * self.tall

    def _tick(self, value: float) -> str:
        y, text = self.y(value), f"{value:g}".replace("-", "−")
        grid = f'<path class="grid" d="M{LEFT} {y:.1f}H{self.width - RIGHT}"/>'
        return f'{grid}<text class="d" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>'

    def _curves(self, values: Tensor) -> str:
        out, n = [], values.shape[1]
        for e in range(n):
            points = (f"{_x(step, self.width):.1f},{self.y(v):.1f}" for step, v in enumerate(values[:, e].tolist()))
            out.append(f'<polyline class="curve {expert_class(e, n)}" points="{" ".join(points)}"/>')
        return "".join(out)

    def _ends(self) -> str:
        last = self.values[-1].tolist()
        ends = sorted((self.y(value), -value, expert) for expert, value in enumerate(last))  # those at the edge, too
        places = parted([y for y, _, _ in ends], ROW, self.top, self.top + self.tall)
        begin, badge = _x(STEPS - 1, self.width) + 2, self.width - BADGE
        out = []
        for (y, _, expert), place in zip(ends, places, strict=True):
            leader = f'<path class="leader" d="M{begin:.1f} {y:.1f}h5L{badge - 5} {place:.1f}h4"/>'
            plate = f'<rect class="plate" x="{badge}" y="{place - 6:.1f}" width="{BADGE}" height="12" rx="3"/>'
            numeral = f'<text class="n0" x="{badge + BADGE / 2}" y="{place + 4:.1f}">{expert}</text>'
            name = expert_class(expert, len(last))
            out.append(f'<g class="end {name}" data-expert="{expert}">{leader}{plate}{numeral}</g>')
        return "".join(out)


def parted(places: Sequence[float], apart: float, low: float, high: float) -> list[float]:
    """Rising places moved until neighbours are `apart`, all together as little as can be, and within low … high."""
    groups: list[list[float]] = []  # of places that touch: the sum of where their first would stand, and their number
    for i, place in enumerate(places):
        groups.append([place - i * apart, 1])
        while len(groups) > 1 and groups[-2][0] / groups[-2][1] > groups[-1][0] / groups[-1][1]:
            total, n = groups.pop()
            groups[-1] = [groups[-1][0] + total, groups[-1][1] + n]
    firsts = [total / n for total, n in groups for _ in range(int(n))]
    highest = high - (len(places) - 1) * apart
    return [max(low, min(highest, first)) + i * apart for i, first in enumerate(firsts)]


def _frozen(now: Controlled, width: int, tall: float, height: float) -> str:
    if now.settings.frozen_from >= STEPS:
        return ""
    x = _x(now.settings.frozen_from, width)
    side = 'text-anchor="end"' if x > width - RIGHT - 170 else 'text-anchor="start"'
    at = x - 4 if "end" in side else x + 4
    return (
        f'<path class="freeze" d="M{x:.1f} {TOP}V{height - FOOT}"/>'
        f'<text class="d" x="{at:.1f}" y="{TOP + tall + 14}" {side}>from here the bias stands still</text>'
    )


def table_html(now: Controlled) -> str:
    """Where the curves end, for pages that drop SVG."""
    ends = zip(loads(now)[-1].tolist(), now.bias[-1].tolist(), strict=True)
    rows = "".join(
        f"<tr><td>{badge_html(e, now.settings.n_experts)}</td><td>{load:.2f}</td><td>{bias:.3g}</td></tr>"
        for e, (load, bias) in enumerate(ends)
    ).replace(">-", ">−")
    return f"<table><tr><th>expert</th><th>load at the end, fair shares</th><th>bias at the end</th></tr>{rows}</table>"
