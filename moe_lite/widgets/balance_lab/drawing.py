"""The balance lab as SVG text: strips and sparklines side by side, one column a training."""

import base64
import html
import io
import math
from collections.abc import Sequence

import numpy as np
from matplotlib.image import imsave
from torch import Tensor

from moe_lite.look.palette import ROLES, channels, expert_class, mark, mix, tint
from moe_lite.look.svg import figure
from moe_lite.widgets.balance_lab.view import MEASURES, Column, figures, multiples
from moe_lite.widgets.balance_lab.words import final, measure_text, subtitle, title

HIGHEST = 4.0  # times the fair share: the darkest
LEVELS = 33  # colours a row
INK_BELOW = 12  # px a row, under which hues cannot be told and one ink serves all


def row_height(n_experts: int) -> int:
    return 14 if n_experts <= 8 else 12 if n_experts <= 16 else 8


def ramp(expert: int, n_experts: int, theme: str) -> list[str]:
    """Colours from 0 to HIGHEST times the fair share: the page, the expert's tint at 1, its mark."""
    page = ROLES[theme]["bg"]
    if row_height(n_experts) < INK_BELOW:
        ink = mix(ROLES[theme]["onTint"], page, 0.84)
        fair = mix(ink, page, 0.35)
    else:
        fair, ink = tint(expert, n_experts, theme), mark(expert, n_experts, theme)
    return [_colour(HIGHEST * level / (LEVELS - 1), fair, ink, page) for level in range(LEVELS)]


def _colour(load: float, fair: str, full: str, page: str) -> str:
    if load <= 1:
        return mix(fair, page, load**0.8)
    return mix(full, fair, min(1.0, math.log2(load) / math.log2(HIGHEST)))


def png(shares: Tensor, theme: str) -> str:
    """A data URI; shares (S, E) in multiples of the fair share -> E rows of S pixels."""
    n_experts = shares.shape[1]
    table = np.array(
        [[channels(c) for c in ramp(e, n_experts, theme)] for e in range(n_experts)], dtype=np.uint8
    )  # (E, 33, 3)
    levels = (shares.clamp(0, HIGHEST) * (LEVELS - 1) / HIGHEST).round().long().T.numpy()  # (E, S)
    pixels = table[np.arange(n_experts)[:, None], levels]  # (E, S, 3)
    buffer = io.BytesIO()
    imsave(buffer, pixels, format="png", pil_kwargs={"optimize": True})
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


NAMES, GAP, VALUE = 118, 20, 36  # px: the names at the left, between columns, the number at a strip's end
HEAD, LINE = 44, 26  # px: over the strips, a row of the table


class LabDrawing:
    """All columns in one layer. step: the scrubber, 0 for the end; picked: the expert whose multiples are printed."""

    def __init__(self, columns: Sequence[Column], layer: int, step: int, picked: int, width: int):
        self.columns, self.layer, self.step, self.picked, self.width = columns, layer, step, picked, width
        self.n_experts = max((column.n_experts for column in columns), default=8)
        self.tall = self.n_experts * row_height(self.n_experts)
        self.wide = (width - NAMES) / max(1, len(columns)) - GAP - VALUE
        self.height = HEAD + self.tall + 24 + LINE * (len(MEASURES) + 1)
        self.figures = [figures(column, layer) for column in columns]

    def svg(self, reading: str) -> str:
        body = (
            self._experts() + "".join(self._column(i, column) for i, column in enumerate(self.columns)) + self._table()
        )
        return figure(body, self.width, self.height, reading, "lab")

    def _left(self, i: int) -> float:
        return NAMES + i * (self.wide + GAP + VALUE)

    def _experts(self) -> str:
        """Numerals at the left: all where there is room, else every eighth; the picked one always."""
        if not self.columns:
            return ""
        height, out = row_height(self.n_experts), []
        for e in range(self.n_experts):
            if height < 12 and e % 8 and e != self.picked:
                continue
            y = HEAD + e * height
            on = " b" if e == self.picked else ""
            out.append(f'<text class="d end{on}" x="{NAMES - 8}" y="{y + height / 2 + 4:.1f}">{e}</text>')
        return f'<text class="d" x="0" y="{HEAD + 10}">expert</text>' + "".join(out)

    def _column(self, i: int, column: Column) -> str:
        x, right = self._left(i), self._left(i) + self.wide
        head = (
            f'<text class="b" x="{x:.1f}" y="14">{html.escape(title(column))}</text>'
            f'<text class="d{" now" if column.live else ""}" x="{x:.1f}" y="30">{html.escape(subtitle(column))}</text>'
        )
        total = max(column.total, column.run.steps[-1] if column.run.steps else 0) or 1
        bottom = HEAD + column.n_experts * row_height(self.n_experts)
        frame = f'<rect class="frame" x="{x:.1f}" y="{HEAD}" width="{self.wide:.1f}" height="{bottom - HEAD}"/>'
        axis = (
            f'<text class="d" x="{x:.1f}" y="{bottom + 14}">0</text>'
            f'<text class="d end" x="{right:.1f}" y="{bottom + 14}">{total:,} steps</text>'
        )
        if not column.run.steps:
            return head + frame + axis
        reached = self.wide * column.run.steps[-1] / total
        shares = multiples(column, self.layer)  # (S, E)
        box = f'x="{x:.1f}" y="{HEAD}" width="{reached:.1f}" height="{bottom - HEAD}" preserveAspectRatio="none"'
        strips = "".join(f'<image class="{theme}" {box} href="{png(shares, theme)}"/>' for theme in ("light", "dark"))
        return head + strips + frame + axis + self._numbers(column, shares, x, total)

    def _numbers(self, column: Column, shares, x: float, total: int) -> str:
        """The scrub line and multiples of the fair share there: of every expert, or of the picked one."""
        at = column.bin_at(self.step)
        if at < 0:
            return ""
        height, now = row_height(self.n_experts), shares[at].tolist()
        line = x + self.wide * column.run.steps[at] / total
        bottom = HEAD + column.n_experts * height
        out = [f'<path class="cursor" d="M{line:.1f} {HEAD - 3}V{bottom + 3}"/>']
        for e, value in enumerate(now):
            if height < 12 and e != self.picked:
                continue
            y, dead = HEAD + e * height + height / 2 + 4, value < 0.01
            text = "0" if dead else f"{value:.1f}"
            out.append(
                f'<text class="d end{" bad" if dead else ""}{" b" if e == self.picked else ""}" '
                f'x="{x + self.wide + VALUE - 4:.1f}" y="{y:.1f}">{text}</text>'
            )
        if self.picked < column.n_experts:
            look = expert_class(self.picked, column.n_experts)
            y = HEAD + self.picked * height
            out.append(f'<rect class="pick {look}" x="{x:.1f}" y="{y}" width="{self.wide:.1f}" height="{height}"/>')
        return "".join(out)

    def _table(self) -> str:
        out, top = [], HEAD + self.tall + 24
        for row, name in enumerate((*MEASURES, "validation loss, end")):
            y = top + row * LINE
            out.append(f'<path class="grid" d="M0 {y}H{self.width}"/>')
            out.append(f'<text class="d" x="0" y="{y + 17}">{html.escape(name)}</text>')
            values = [found.by_name.get(name, []) for found in self.figures]
            known = [v for series in values for v in series]
            low, high = (min(known), max(known)) if known else (0.0, 1.0)
            for i, (column, series) in enumerate(zip(self.columns, values, strict=True)):
                out.append(self._cell(i, column, name, series, low, high, y))
        return "".join(out)

    def _cell(self, i: int, column: Column, name: str, series: list[float], low: float, high: float, y: float) -> str:
        end = self._left(i) + self.wide + VALUE - 4
        if name not in self.figures[i].by_name:
            return f'<text class="end" x="{end:.1f}" y="{y + 17}">{final(self.figures[i].losses)}</text>'
        at = column.bin_at(self.step)
        if at < 0:
            return f'<text class="d end" x="{end:.1f}" y="{y + 17}">–</text>'
        bad = " bad b" if name == "dead experts" and series[at] else ""
        value = f'<text class="end{bad}" x="{end:.1f}" y="{y + 17}">{measure_text(name, series[at])}</text>'
        room, span = max(20.0, self.wide - 40), (high - low) or 1.0
        steps, total = column.run.steps, max(column.total, column.run.steps[-1])
        places = [
            (self._left(i) + room * step / total, y + 21 - 15 * (v - low) / span)
            for step, v in zip(steps, series, strict=True)
        ]
        points = " ".join(f"{px:.1f},{py:.1f}" for px, py in places)
        x, dot = places[at]
        circle = f'<circle class="dot" cx="{x:.1f}" cy="{dot:.1f}" r="2.5"/>'
        return f'<polyline class="spark" points="{points}"/>{circle}{value}'
