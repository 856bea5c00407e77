"""The balance lab as SVG text: strips and sparklines side by side, one column a training."""

import base64
import html
import io
import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from matplotlib.image import imsave
from torch import Tensor

from moe_lite.look.palette import ROLES, channels, expert_class, mark, mix, tint
from moe_lite.look.svg import figure
from moe_lite.metrics import DEAD_BELOW
from moe_lite.widgets.balance_lab.view import MEASURES, Column, axis_end, figures, multiples
from moe_lite.widgets.balance_lab.words import final, heads, measure_text

HIGHEST = 4.0  # times the fair share: the darkest
LEVELS = 33  # colours a row
INK_BELOW = 12  # px a row, under which hues cannot be told and one ink serves all


def row_height(n_experts: int) -> int:
    return 14 if n_experts <= 8 else 12 if n_experts <= 16 else 8


def ramp(expert: int, n_experts: int, theme: str) -> list[str]:
    """Colours from 0 to HIGHEST times the fair share: the page, the expert's tint at 1, its mark."""
    page = ROLES[theme]["bg"]
    if row_height(n_experts) < INK_BELOW:
        ink = mix(ROLES[theme]["onTint"], page, 0.92)
        fair = mix(ink, page, 0.5)  # so that 0, ½, 1, 2 and 4 times the fair share are told apart as greys
    else:
        fair, ink = tint(expert, n_experts, theme), mark(expert, n_experts, theme)
    return [_colour(HIGHEST * level / (LEVELS - 1), fair, ink, page) for level in range(LEVELS)]


def _colour(load: float, fair: str, full: str, page: str) -> str:
    if load <= 1:
        return mix(fair, page, load**0.8)
    return mix(full, fair, min(1.0, math.log2(load) / math.log2(HIGHEST)))


@lru_cache(maxsize=64)
def _ramps(experts: tuple[int, ...], n_experts: int, theme: str) -> np.ndarray:
    """The ramps of these experts, (R, LEVELS, 3) uint8."""
    ramps = {e: [channels(colour) for colour in ramp(e, n_experts, theme)] for e in set(experts)}
    return np.array([ramps[e] for e in experts], dtype=np.uint8)


def png(shares: Tensor, experts: Sequence[int], n_experts: int, theme: str) -> str:
    """A data URI; shares (S, R) in multiples of the fair share, row by row in an expert's colours -> R rows of S px."""
    table = _ramps(tuple(experts), n_experts, theme)  # (R, 33, 3)
    levels = (shares.clamp(0, HIGHEST) * (LEVELS - 1) / HIGHEST).round().long().T.numpy()  # (R, S)
    pixels = table[np.arange(len(table))[:, None], levels]  # (R, S, 3)
    buffer = io.BytesIO()
    imsave(buffer, pixels, format="png", pil_kwargs={"optimize": True})
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


NAMES, GAP, VALUE = 118, 20, 44  # px: the names at the left, between columns, the number at a strip's end
TOP, LINE = 6, 24  # px: over the strips, a row of the table
AXIS, SLIDER = 18, 24  # px: the numbers of the axis under the strips, the row of the slider above them
LEVEL = 14  # px: a row of the legend
LEGEND = ((0.0, "0"), (0.5, "½"), (1.0, "1"), (2.0, "2"), (HIGHEST, "4"))  # times the fair share


def _whole(text: str) -> str:
    """Escaped, and with hyphens at which no line breaks: z-loss, top-2."""
    return html.escape(text).replace("-", "\u2011")


class LabDrawing:
    """All columns in one layer, on one axis of steps. step: the one looked at, 0 for the end; picked: the expert whose
    multiples are printed; movable: with room for the slider of the step, which the script puts under the strips."""

    def __init__(
        self, columns: Sequence[Column], layer: int, step: int, picked: int, width: int, movable: bool = False
    ):
        self.columns, self.layer, self.step, self.picked, self.width = columns, layer, step, picked, width
        self.movable = movable
        self.n_experts = max((column.n_experts for column in columns), default=8)
        self.steps = axis_end(columns)
        self.pitch = (width - NAMES) / max(1, len(columns))
        self.wide = self.pitch - GAP - VALUE
        self.bottom = TOP + self.n_experts * row_height(self.n_experts)  # of the strips
        self.table = self.bottom + (SLIDER if movable else 0) + AXIS
        self.height = self.table + LINE * (len(MEASURES) + 1)
        self.figures = [figures(column, layer) for column in columns]

    def html(self, reading: str) -> str:
        """The figure under the columns' names; `reading` is its text alternative."""
        return self.heads() + self.svg(reading)

    def heads(self) -> str:
        """What the columns are called, each over its strips; what all share stands once, above them."""
        shared, names = heads(self.columns)
        cells = "".join(
            f'<div class="head"><b>{_whole(name)}</b>'
            f'<span class="dim{" now" if column.training else ""}">{_whole(about)}</span></div>'
            for column, (name, about) in zip(self.columns, names, strict=True)
        )
        wide = f"minmax(0,{NAMES}fr)" + f" minmax(0,{self.pitch:.1f}fr)" * len(self.columns)
        said = f'<p class="shared dim">layer {self.layer + 1}{_whole(shared and " · " + shared)}</p>'
        style = f"max-width:{self.width}px;grid-template-columns:{wide}"
        return f'{said}<div class="heads" style="{style}"><span></span>{cells}</div>'

    def svg(self, reading: str) -> str:
        columns = "".join(self._column(i, column) for i, column in enumerate(self.columns))
        cursors = "".join(self._cursor(i, column) for i, column in enumerate(self.columns))
        body = self._experts() + self._legend() + columns + self._table() + cursors
        return figure(body, self.width, self.height, reading, "lab")

    def places(self) -> dict[str, float]:
        """Where the script finds the axes, in px of the figure, and how many steps they have."""
        lefts = [self._left(i) for i in range(len(self.columns))]
        return {
            "figure": self.width, "height": self.height, "lefts": lefts, "wide": self.wide, "steps": self.steps,
            "top": TOP, "row": row_height(self.n_experts), "slider": self.bottom + SLIDER / 2,
        }  # fmt: skip

    def _left(self, i: int) -> float:
        return NAMES + i * self.pitch

    def _x(self, i: int, step: float) -> float:
        return self._left(i) + self.wide * step / self.steps

    # ---- strips ------------------------------------------------------------------------------------------------------

    def _experts(self) -> str:
        """Numerals at the left: all where there is room, else every eighth and the picked one."""
        if not self.columns:
            return ""
        height, out = row_height(self.n_experts), []
        for e in range(self.n_experts):
            if height < 12 and e != self.picked and (e % 8 or abs(e - self.picked) * height < 12):
                continue
            y = TOP + e * height
            on = " b" if e == self.picked else ""
            out.append(f'<text class="d end num{on}" x="{NAMES - 8}" y="{y + height / 2 + 4:.1f}">{e}</text>')
        return f'<text class="d" x="0" y="{TOP + 10}">expert</text>' + "".join(out)

    def _legend(self) -> str:
        """What the shades mean, drawn as the strips are, in the space under the word "expert"."""
        top, shares = TOP + 40, torch.tensor([[share for share, _ in LEGEND]])  # (1, 5): one step, five rows
        expert, tall = min(self.picked, self.n_experts - 1), LEVEL * len(LEGEND)
        box = f'x="0" y="{top}" width="22" height="{tall}"'
        chips = "".join(
            f'<image class="{theme}" {box} preserveAspectRatio="none" '
            f'href="{png(shares, [expert] * len(LEGEND), self.n_experts, theme)}"/>'
            for theme in ("light", "dark")
        )
        words = "".join(
            f'<text class="d" x="28" y="{top + LEVEL * (i + 0.5) + 4:.1f}">{text}{" × fair" if i == 2 else ""}</text>'
            for i, (_, text) in enumerate(LEGEND)
        )
        title = f'<text class="d" x="0" y="{top - 7}">load</text>'
        return f'<g class="ramp">{title}{chips}<rect class="frame" {box}/>{words}</g>'

    def _column(self, i: int, column: Column) -> str:
        x, right = self._left(i), self._left(i) + self.wide
        bottom = TOP + column.n_experts * row_height(self.n_experts)
        box = f'x="{x:.1f}" y="{TOP}" height="{bottom - TOP}"'
        frame = f'<rect class="frame" {box} width="{self.wide:.1f}"/>'
        if self.movable:
            frame += f'<path class="track" d="M{x:.1f} {self.bottom + SLIDER / 2}h{self.wide:.1f}"/>'
        y = self.table - AXIS + 11
        axis = (
            f'<text class="d" x="{x:.1f}" y="{y}">0</text>'
            f'<text class="d end" x="{right:.1f}" y="{y}">{self.steps:,}{" steps" if self.wide > 76 else ""}</text>'
        )
        if not column.run.steps:
            return frame + axis
        reached = self._x(i, column.run.steps[-1]) - x
        shares = multiples(column, self.layer)  # (S, E)
        images = "".join(
            f'<image class="strips {theme}" {box} width="{reached:.1f}" preserveAspectRatio="none" '
            f'href="{png(shares, range(column.n_experts), column.n_experts, theme)}"/>'
            for theme in ("light", "dark")
        )
        return images + frame + axis + self._numbers(i, column, shares[column.bin_at(self.step)].tolist())

    def _numbers(self, i: int, column: Column, now: list[float]) -> str:
        """Multiples of the fair share at the step looked at: of every expert, or of the picked one."""
        height, out = row_height(self.n_experts), []
        for e, value in enumerate(now):
            if height < 12 and e != self.picked:
                continue
            y, dead = TOP + e * height + height / 2 + 4, value < DEAD_BELOW
            text = "0" if dead else f"{value:.1f}"
            out.append(
                f'<text class="d end{" bad" if dead else ""}{" b" if e == self.picked else ""}" '
                f'x="{self._left(i) + self.wide + VALUE - 4:.1f}" y="{y:.1f}">{text}</text>'
            )
        if self.picked < column.n_experts:
            box = f'x="{self._left(i):.1f}" y="{TOP + self.picked * height}" width="{self.wide:.1f}" height="{height}"'
            out.append(f'<rect class="pick {expert_class(self.picked, column.n_experts)}" {box}/>')
        return "".join(out)

    def _cursor(self, i: int, column: Column) -> str:
        """The line at the step looked at, through strips and curves, and the area in which the hand can drag it."""
        if not column.run.steps:
            return ""
        tall = self.table + LINE * len(MEASURES) - TOP
        x = self._x(i, column.step_at(self.step))
        grip = f'<circle cy="{self.bottom + SLIDER / 2 - TOP}" r="6"/>' if self.movable and i else ""
        line = (
            f'<g class="cursor" data-column="{i}" data-last="{column.run.steps[-1]}" '
            f'transform="translate({x:.1f} {TOP})"><path d="M0 -3V{tall}"/>{grip}</g>'
        )
        if not self.movable:
            return line
        box = f'x="{self._left(i):.1f}" y="{TOP}" width="{self.wide:.1f}" height="{tall}"'
        return f'{line}<rect class="grab" data-grab="{i}" {box}/>'

    # ---- table -------------------------------------------------------------------------------------------------------

    def _table(self) -> str:
        out = []
        for row, name in enumerate((*MEASURES, "validation loss, end")):
            y = self.table + row * LINE
            out.append(f'<path class="grid" d="M0 {y}H{self.width}"/>')
            out.append(f'<text class="d" x="0" y="{y + 16}">{html.escape(name)}</text>')
            values = [found.by_name.get(name, []) for found in self.figures]
            known = [v for series in values for v in series]
            low, high = (min(known), max(known)) if known else (0.0, 1.0)
            for i, (column, series) in enumerate(zip(self.columns, values, strict=True)):
                out.append(self._cell(i, column, name, series, low, high, y))
        return "".join(out)

    def _cell(self, i: int, column: Column, name: str, series: list[float], low: float, high: float, y: float) -> str:
        end = self._left(i) + self.wide + VALUE - 4
        if name not in self.figures[i].by_name:
            return f'<text class="end" x="{end:.1f}" y="{y + 16}">{final(self.figures[i].losses)}</text>'
        at = column.bin_at(self.step)
        if at < 0:
            return f'<text class="d end" x="{end:.1f}" y="{y + 16}">–</text>'
        bad = " bad b" if name == "dead experts" and series[at] else ""
        value = f'<text class="end{bad}" x="{end:.1f}" y="{y + 16}">{measure_text(name, series[at])}</text>'
        span = (high - low) or 1.0
        places = [
            (self._x(i, step), y + 20 - 15 * (v - low) / span) for step, v in zip(column.run.steps, series, strict=True)
        ]
        points = " ".join(f"{px:.1f},{py:.1f}" for px, py in places)
        x, dot = places[at]
        circle = f'<circle class="dot" cx="{x:.1f}" cy="{dot:.1f}" r="2.5"/>'
        return f'<polyline class="spark" points="{points}"/>{circle}{value}'
