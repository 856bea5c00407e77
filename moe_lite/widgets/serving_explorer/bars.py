"""The lower picture of the serving explorer: the bars of one step and their legend; and the table for
pages that drop SVG."""

import html
import math
from dataclasses import dataclass
from functools import cached_property

from moe_lite.look.svg import figure
from moe_lite.widgets.serving_explorer.view import KEYS, MIXTURE, ServingView
from moe_lite.widgets.serving_explorer.words import (
    TIMES,
    bytes_text,
    cost_text,
    detail,
    digits,
    flops_text,
    name_of,
    parameters_text,
    time_text,
)

HEAD, LINE, ROW, BAR, BELOW, TIME_FOOT = 20, 15, 18, 12, 6, 20
WHAT, AMOUNT, TIME = 70, 82, 66  # px of "computing"; of bytes and of seconds at the right
PARTS = {"common": "common weights", "experts": "experts touched", "cache": "keys and values"}
TICK = 44  # px from a number of the scale to the next, at least
INSIDE = 62  # px from which an amount stands in its part of a bar


@dataclass(frozen=True)
class Bars:
    """What a step moves and computes, for each of the three, on one scale of time."""

    view: ServingView
    before: ServingView | None
    width: int

    def svg(self, label: str) -> str:
        """The figure, with `label` as its text alternative. Elements are found again by the first word of `class`."""
        body = "".join(self._block(key, self.block * i) for i, key in enumerate(KEYS))
        height = self.block * len(KEYS) + TIME_FOOT
        return figure(self._axis() + body, self.width, height, label, "steps")

    @cached_property
    def lines(self) -> int:
        """Of the heads: two where a name, what is used and what it costs do not stand side by side."""
        view = self.view
        rooms = (8.2 * len(name_of(view, key)) + 6.8 * len(detail(view, key)) + 7.6 * len(cost_text(view, key))
                 for key in KEYS)  # fmt: skip
        return 1 if max(rooms) + 30 <= self.width else 2

    @property
    def head(self) -> int:
        return HEAD + LINE * (self.lines - 1)

    @property
    def block(self) -> int:
        """px of one of the three"""
        return self.head + 2 * ROW + BELOW

    @property
    def right(self) -> float:
        """px where the scale ends"""
        return self.width - AMOUNT - TIME - 8

    @cached_property
    def scale(self) -> tuple[float, float]:
        """Seconds of the whole scale, and between two of its numbers: round, so that a small move keeps it."""
        most = max(seconds for key in KEYS for seconds in self.view.step(key)[-2:])
        power = 10.0 ** math.floor(math.log10(most))
        most_steps = min(8, (self.right - WHAT) // TICK)
        step = next(m * power for m in (0.1, 0.2, 0.25, 0.5, 1, 2, 5) if most / (m * power) <= most_steps)
        return math.ceil(most / step - 1e-9) * step, step

    @property
    def unit(self) -> tuple[float, str]:
        """Seconds of it, and its name: one for all times of the figure."""
        return next(((size, unit) for size, unit in TIMES if self.scale[0] >= size), TIMES[-1])

    def long(self, seconds: float) -> float:
        return (self.right - WHAT) * seconds / self.scale[0]

    def _axis(self) -> str:
        whole, step = self.scale
        size, unit = self.unit
        foot, out = self.block * len(KEYS), []
        for i in range(round(whole / step) + 1):
            x = WHAT + self.long(i * step)
            text = f"{i * step / size:g}{f' {unit}' if i == round(whole / step) else ''}"
            rows = "".join(f"M{x:.1f} {self.block * j + self.head - 3}v{2 * ROW}" for j in range(len(KEYS)))
            out.append(f'<path class="g{i} grid" d="{rows}"/>')
            out.append(f'<text class="t{i} d mid" x="{x:.1f}" y="{foot + 14}">{text}</text>')
        return f'<g class="axis">{"".join(out)}</g>'

    def _block(self, key: str, y: float) -> str:
        view, found = self.view, self.view.step(key)
        who = f'<tspan class="who{" b" if key == MIXTURE else ""}">{html.escape(name_of(view, key))}</tspan>'
        place = 'dx="10"' if self.lines == 1 else f'x="0" dy="{LINE}"'
        who += f'<tspan class="detail" {place}>{html.escape(detail(view, key))}</tspan>'
        off = "" if view.fits(key) else " off"
        parts = [
            f'<text class="name" x="0" y="{y + 13}">{who}</text>',
            f'<text class="cost end{off}" x="{self.width}" y="{y + 13}">{cost_text(view, key)}</text>',
        ]
        moving = {"common": found.bytes_common, "experts": found.bytes_experts, "cache": found.bytes_cache}
        longer = found.bound == "bandwidth"
        parts.append(self._row(key, "moving", y + self.head, moving, found.moving, bytes_text(found.bytes), longer))
        computing, flops = {"flops": found.flops}, flops_text(found.flops)
        parts.append(self._row(key, "computing", y + self.head + ROW, computing, found.computing, flops, not longer))
        look = f"{key} {'e3' if key == MIXTURE else 'even'}{'' if view.fits(key) else ' out'}"
        return f'<g class="{look}">{"".join(parts)}</g>'

    def _row(
        self, key: str, kind: str, y: float, amounts: dict[str, float], seconds: float, amount: str, longer: bool
    ) -> str:
        """One bar, its parts by their share of the amount."""
        whole, x, parts = sum(amounts.values()), float(WHAT), []
        was = getattr(self.before.step(key), kind) if self.before else seconds
        moved = abs(self.long(was) - self.long(seconds)) >= 0.5 and self.long(was) <= self.right - WHAT
        tick = WHAT + self.long(was) if moved else -INSIDE
        parts.append(f'<text class="what d" x="0" y="{y + 10}">{kind}</text>')
        parts.append(f'<rect class="ground" x="{WHAT}" y="{y}" width="{self.long(seconds):.1f}" height="{BAR}"/>')
        for part, n in amounts.items():
            wide = self.long(seconds) * n / whole
            parts.append(f'<rect class="{part}" x="{x:.1f}" y="{y}" width="{wide:.1f}" height="{BAR}"/>')
            if wide >= INSIDE and len(amounts) > 1 and not x <= tick <= x + INSIDE:
                parts.append(f'<text class="in-{part} inside" x="{x + 5:.1f}" y="{y + 10}">{bytes_text(n)}</text>')
            x += wide
        if longer:
            parts.append(f'<rect class="longer" x="{WHAT}" y="{y}" width="{max(1.5, x - WHAT):.1f}" height="{BAR}"/>')
        if moved:
            parts.append(f'<rect class="was" x="{tick - 0.75:.1f}" y="{y - 2}" width="1.5" height="{BAR + 4}"/>')
        bold = " b" if longer else ""
        parts.append(f'<text class="amount end" x="{self.width - TIME}" y="{y + 10}">{amount}</text>')
        size, unit = self.unit
        time = f"{short(seconds / size)} {unit}"
        parts.append(f'<text class="time end{bold}" x="{self.width}" y="{y + 10}">{html.escape(time)}</text>')
        return f'<g class="{kind}">{"".join(parts)}</g>'


def short(value: float) -> str:
    """Three digits, and three decimals at most."""
    if value >= 0.1:
        return digits(value)
    return f"{value:.3f}" if value >= 0.0005 else "<0.001"


def legend_html(moved: bool = False) -> str:
    """What the parts of a bar are, how the longer bar is marked, and what the ticks are once something has moved."""
    keys = [_key(f'class="{part}" x="1" y="1" width="11" height="10"', words, part) for part, words in PARTS.items()]
    keys.append(_key('class="longer" x="1" y="1" width="11" height="10"', "the longer bar is the time of a step"))
    if moved:
        keys.append(_key('class="was" x="6" y="0" width="1.5" height="12"', "before the move"))
    return f'<p class="legend">{" ".join(keys)}</p>'


def _key(box: str, words: str, part: str = "") -> str:
    look = "e3" if part == "experts" else "even"
    return (
        f'<span><svg class="steps sw {look}" width="13" height="12" viewBox="0 0 13 12" aria-hidden="true">'
        f"<rect {box}/></svg>{words}</span>"
    )


# ---- static twin -----------------------------------------------------------------------------------------------------


def table_html(view: ServingView) -> str:
    """Both figures as a table, for pages that drop SVG."""
    heads = ("", "parameters", "room for", "moves", "takes", "computes", "takes", "tokens/s", "per million")
    rows = ""
    for key in KEYS:
        found = view.step(key)
        speed, price = cost_text(view, key).split(" · ") if view.fits(key) else (cost_text(view, key), "")
        cells = (
            parameters_text(view.parameters(key)), f"{view.room[key]:,} texts", bytes_text(found.bytes),
            time_text(found.moving), flops_text(found.flops), time_text(found.computing),
            speed.removesuffix(" tokens/s"), price.removesuffix(" per million"),
        )  # fmt: skip
        rows += f"<tr><td>{html.escape(name_of(view, key))}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
    return f"<table><tr>{''.join(f'<td>{head}</td>' for head in heads)}</tr>{rows}</table>"
