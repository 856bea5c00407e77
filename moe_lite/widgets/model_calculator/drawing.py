"""The model calculator as pictures: bars on one scale, the model taken apart, and the table of cards."""

import html
from dataclasses import dataclass
from functools import cached_property

from moe_lite.look.palette import expert_class
from moe_lite.look.svg import drawn_only, figure
from moe_lite.look.words import percent
from moe_lite.widgets.model_calculator.view import BITS, CARDS, CalculatorView, Held, Row
from moe_lite.widgets.model_calculator.words import (
    CONVENTIONS,
    NUMBERED,
    amounts,
    captions,
    cut,
    gigabytes,
    heading,
    memory_note,
    short,
    spoken,
    sums,
    unit_of,
)

WIDEST, TWIN, NARROWEST = 812, 760, 460  # px
HEAD, ROW, BAR, INSET, FOOT = 22, 30, 20, 4, 20  # px: of the bars
LEFT = 9  # px that the mark of the chosen model takes
COLUMNS = {"share": 50, "active": 58, "total": 62}  # px, from the right
BREAK = 24  # px beyond the scale, for what is longer than it
WIDE = 8.6  # px a character at most, bold, in the widest of the fonts that pages use
STRIP = 28  # px
LEAST_BOX, LEAST_CELL, AMOUNT = 22, 4, 64  # px of an expert with its number, between lines, with its amount


@dataclass(frozen=True)
class Bars:
    """A bar for each model, active within total, with ticks where the ends stood before the move."""

    view: CalculatorView
    before: CalculatorView | None
    width: int

    def svg(self, label: str) -> str:
        """The figure, with `label` as its text alternative. Elements are found again by the first word of `class`."""
        rows = self.view.rows
        body = "".join(self._row(row, HEAD + ROW * i) for i, row in enumerate(rows))
        height = HEAD + ROW * len(rows) + FOOT
        return figure(self._head() + body + self._foot(height - 5), self.width, height, label, "bars")

    @cached_property
    def left(self) -> float:
        """px where bars begin: to the right of the names."""
        return LEFT + 8 + WIDE * max(len(cut(row.name)) for row in self.view.rows)

    @cached_property
    def right(self) -> float:
        return self.width - sum(COLUMNS.values()) - 4

    def length(self, n: int) -> float:
        """px of a bar; one that is longer than the scale ends behind the break."""
        room = self.right - self.left
        return room if n > self.view.scale else n / self.view.scale * (room - BREAK)

    def _head(self) -> str:
        _, word = unit_of(self.view.scale)
        parts = [f'<text class="unit d" x="{self.left:.1f}" y="13">parameters, {word}s</text>']
        at = self.width
        for name, wide in COLUMNS.items():
            parts.append(f'<text class="h-{name} d end" x="{at}" y="13">{name}</text>')
            at -= wide
        return f'<g class="head">{"".join(parts)}</g>'

    def _row(self, row: Row, y: int) -> str:
        chosen = row == self.view.current
        unit, _ = unit_of(self.view.scale)
        bold, middle = " b" if chosen else "", y + ROW / 2 + 4
        parts = [f'<rect class="chosen" x="0" y="{y + 2}" width="3" height="{ROW - 4}"/>'] if chosen else []
        parts.append(f'<text class="name{bold}" x="{LEFT}" y="{middle}">{html.escape(cut(row.name))}</text>')
        for kind, n, inset in (("total", row.total, 0), ("active", row.active, INSET)):
            top, tall = y + (ROW - BAR) / 2 + inset, BAR - 2 * inset
            box = f'x="{self.left:.1f}" y="{top:g}" width="{max(1, self.length(n)):.1f}" height="{tall}"'
            parts.append(f'<rect class="bar-{kind}" {box}/>')
        parts.append(self._ticks(row, y))
        if row.total > self.view.scale:
            parts.append(self._break(y))
        at = self.width
        shown = {"share": percent(row.active / row.total), "active": short(row.active, unit),
                 "total": short(row.total, unit)}  # fmt: skip
        for name, wide in COLUMNS.items():
            text = html.escape(shown[name])
            parts.append(f'<text class="n-{name} end{bold}" x="{at}" y="{middle}">{text}</text>')
            at -= wide
        return f'<g class="{row.key}">{"".join(parts)}</g>'

    def _ticks(self, row: Row, y: int) -> str:
        """Where this bar's ends stood before the move, if they have moved."""
        was = next((old for old in self.before.rows if old[:2] == row[:2]), None) if self.before else None
        if was is None or (row.key == "mine" and self.before.base != self.view.base):
            return ""
        pairs = {"total": (was.total, row.total), "active": (was.active, row.active)}
        return "".join(
            f'<rect class="t-{kind} was" x="{self.left + self.length(old) - 0.75:.1f}" y="{y + 2}" width="1.5" '
            f'height="{ROW - 4}"/>'
            for kind, (old, new) in pairs.items()
            if abs(self.length(old) - self.length(new)) >= 0.5
        )

    def _break(self, y: int) -> str:
        """The bar goes on beyond the scale."""
        x, top, tall = self.right - BREAK / 2 - 6, y + (ROW - BAR) / 2 - 3, BAR + 6
        gap = f'<path class="gap" d="M{x:.1f} {top + tall:g}l6 -{tall}h6l-6 {tall}z"/>'
        edges = f'<path class="edges" d="M{x:.1f} {top + tall:g}l6 -{tall}m6 0l-6 {tall}"/>'
        return f'<g class="break">{gap}{edges}</g>'

    def _foot(self, y: int) -> str:
        said = f"counted: {CONVENTIONS[self.view.convention]}"
        parts = [f'<text class="by d end" x="{self.width}" y="{y}">{said}</text>']
        if self.before is not None and 'was"' in "".join(self._ticks(row, 0) for row in self.view.rows):
            parts.append(f'<rect class="was" x="{LEFT}" y="{y - 10}" width="1.5" height="12"/>')
            parts.append(f'<text class="key d" x="{LEFT + 7}" y="{y}">before the move</text>')
        return f'<g class="foot">{"".join(parts)}</g>'


# ---- taken apart -----------------------------------------------------------------------------------------------------


def strip(view: CalculatorView, width: int) -> str:
    """The model as one bar: what every token uses, then its experts, those filled that work on a token."""
    at, out = 0.0, []
    for i, n in enumerate(view.common.values()):
        wide = n / view.total * width
        out.append(f'<rect class="c{i} common" x="{at:.1f}" y="1" width="{max(0.5, wide - 1):.1f}" height="{STRIP}"/>')
        at += wide
    box = (width - at) / max(1, view.model.n_experts)
    if view.sparse:
        boxes = view.model.n_experts <= NUMBERED and box >= LEAST_BOX
        out.append(_boxes(view, at, box) if boxes else _cells(view, at, box))
    label = "; ".join(filter(None, [*captions(view), *sums(view)]))
    return figure("".join(out), width, STRIP + 2, label, "strip")


def example(n_experts: int, works: int) -> list[int]:
    """Experts that may work on a token, spread out: 2 of 8 -> 1 and 5."""
    return [(4 * i + 1) * n_experts // (4 * works) for i in range(works)]


def _boxes(view: CalculatorView, left: float, box: float) -> str:
    """Every expert with its number, and its amount where there is room."""
    n, out, amount = view.model.n_experts, [], amounts(view)[2]
    chosen = example(n, view.works)
    for e in range(n):
        x, on = left + e * box, e in chosen
        parts = [f'<rect class="box" x="{x + 0.5:.1f}" y="1" width="{box - 1:.1f}" height="{STRIP}"/>']
        roomy = box >= AMOUNT
        centre = x + 16 if roomy else x + box / 2
        parts.append(f'<rect class="plate" x="{centre - 9:.1f}" y="7" width="18" height="16" rx="3"/>')
        parts.append(f'<text class="n0" x="{centre:.1f}" y="19">{e}</text>')
        if roomy:
            parts.append(f'<text class="amount end" x="{x + box - 7:.1f}" y="19">{amount}</text>')
        out.append(f'<g class="x{e} {expert_class(e, n)}{" on" if on else ""}">{"".join(parts)}</g>')
    return "".join(out)


def _cells(view: CalculatorView, left: float, box: float) -> str:
    """Many experts: those that work on a token side by side, then the others; a line between two if there is room."""
    n, k = view.model.n_experts, view.works
    out = [f'<rect class="working" x="{left:.1f}" y="1" width="{max(1, k * box):.1f}" height="{STRIP}"/>']
    if k < n:
        out.append(f'<rect class="idle" x="{left + k * box:.1f}" y="1" width="{(n - k) * box:.1f}" height="{STRIP}"/>')
    if box >= LEAST_CELL:
        for name, cells in (("inside", range(1, k)), ("between", range(k + 1, n))):
            lines = "".join(f"M{left + i * box:.1f} 1v{STRIP}" for i in cells)
            out.append(f'<path class="{name}" d="{lines}"/>' if lines else "")
    return f'<g class="cells">{"".join(out)}</g>'


# ---- the table of cards ----------------------------------------------------------------------------------------------


def memory(view: CalculatorView) -> str:
    """Precision × card, as an HTML table; elements with one parent differ in the first word of their class."""
    heads = '<th class="what" scope="col">weights only</th><th class="gb" scope="col">GB</th>'
    heads += "".join(
        f'<th class="c{card}" scope="col"><span class="size">{card} GB</span><span class="w"> card</span></th>'
        for card in CARDS
    )
    bodies = "".join(_body(view, held) for held in view.held)
    return f'<table class="mem"><thead class="heads"><tr class="head">{heads}</tr></thead>{bodies}</table>'


def _body(view: CalculatorView, held: Held) -> str:
    """The four precisions of one model."""
    name = f"{html.escape(cut(held.name, 40))} · {spoken(held.parameters)}"
    if held.key == "dense":
        name += ", as many as work on a token"
    if view.convention != "all":
        name += ", everything counted"
    rows = [f'<tr class="name"><th class="whole" scope="rowgroup" colspan="{2 + len(CARDS)}">{name}</th></tr>']
    for bits, precision in BITS.items():
        n_bytes = held.bytes[bits]
        cells = "".join(_cell(view, n_bytes, card) for card in CARDS)
        head = f'<th class="what" scope="row">{precision}</th><td class="gb">{gigabytes(n_bytes)}</td>'
        rows.append(f'<tr class="b{bits}">{head}{cells}</tr>')
    return f'<tbody class="{held.key}">{"".join(rows)}</tbody>'


def _cell(view: CalculatorView, n_bytes: int, card: int) -> str:
    share = n_bytes / view.usable(card)
    if n_bytes > view.usable(card):
        n = view.cards(n_bytes, card)
        return f'<td class="c{card}"><span class="many">{n:,}</span><span class="w dim"> cards</span></td>'
    tank = f'<span class="tank"><i class="level" style="width:{100 * share:.1f}%"></i></span>'
    return f'<td class="c{card}">{tank}<b class="share">{html.escape(percent(share))}</b></td>'


# ---- static twin -----------------------------------------------------------------------------------------------------


def twin(view: CalculatorView, label: str) -> str:
    """Bars, strip and table for pages without a script."""
    name, rest = heading(view)
    over, under = (_two(texts, kind) for texts, kind in ((captions(view), "over"), (sums(view), "sums")))
    apart = f'<p class="apart"><b>{html.escape(name)}</b> {rest}</p>{over}{drawn_only(strip(view, TWIN))}{under}'
    bars = drawn_only(Bars(view, None, TWIN).svg(label)) + _rows_table(view)
    return f'{bars}{apart}{memory(view)}<p class="note">{memory_note()}</p>'


def _two(texts: tuple[str, str], kind: str) -> str:
    return f'<p class="{kind}">{" ".join(f"<span>{html.escape(text)}</span>" for text in texts)}</p>'


def _rows_table(view: CalculatorView) -> str:
    """The bars as a table, for pages that drop SVG."""
    unit, word = unit_of(view.scale)
    heads = "".join(f"<th>{text}</th>" for text in (f"parameters, {word}s", "total", "active", "share"))
    rows = "".join(
        f"<tr><td>{html.escape(row.name)}</td><td>{short(row.total, unit)}</td><td>{short(row.active, unit)}</td>"
        f"<td>{html.escape(percent(row.active / row.total))}</td></tr>"
        for row in view.rows
    )
    return f"<table><tr>{heads}</tr>{rows}</table>"
