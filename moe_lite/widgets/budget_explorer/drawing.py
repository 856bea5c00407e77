"""The budget explorer as a picture: two bars, parameters and FLOPs by part, as SVG text."""

import html
from dataclasses import dataclass

from moe_lite.look.svg import figure
from moe_lite.look.words import percent
from moe_lite.widgets.budget_explorer.view import BudgetView, Counted
from moe_lite.widgets.budget_explorer.words import NAMES, UNCOUNTED, amount, count_text, exact

WIDEST, TWIN = 812, 760  # px that the figure is drawn for at most, and in the picture that stays
BAR_TOP, BAR = 24, 40  # where a bar begins under its block's heading, and its height
BLOCK, GAP, FOOT = 104, 16, 22  # a block with its outer labels, the room between two, the line under both
HEIGHT = 2 * BLOCK + GAP + FOOT
BETWEEN = 10  # px between two outer labels
# px a character at most, in the widest of the fonts that pages use
WIDE, NARROW = {True: 7.7, False: 7.4}, 6.8


@dataclass(frozen=True)
class Label:
    """A part's label: inside of its segment if it fits, else under the bar, as near as the others allow."""

    part: str
    name: str  # "attention 19 %"
    amount: str
    start: float  # px: the segment
    width: float
    inside: bool
    centre: float = 0.0  # px: of a label outside

    @property
    def room(self) -> float:
        """px that the text takes at most."""
        return max(len(self.name) * WIDE[self.part == "feed-forward"], len(self.amount) * NARROW)


@dataclass(frozen=True)
class BudgetDrawing:
    """A shape's bars, with ticks where the borders of `before` stood. A bar is the whole: its scale never changes."""

    view: BudgetView
    before: BudgetView | None
    counted: Counted | None
    width: int

    def svg(self, label: str) -> str:
        """The figure, with `label` as its text alternative. Elements are found again by the first word of `class`."""
        blocks = "".join(self._block(kind, i * (BLOCK + GAP)) for i, kind in enumerate(NAMES))
        return figure(blocks + self._foot(), self.width, HEIGHT, label, "budget")

    def labels(self, kind: str) -> list[Label]:
        """The labels of one bar; those outside do not overlap and stay within the figure."""
        amounts, start, found = getattr(self.view.budget, kind), 0.0, []
        for part, share in self.view.shares(kind).items():
            width = share * self.width
            if share > 0:
                label = Label(part, f"{part} {percent(share)}", amount(amounts[part]), start, width, True)
                fits = label.room + 16 <= width
                found.append(label if fits else Label(*_fields(label), inside=False))
            start += width
        outside = [label for label in found if not label.inside]
        centres = _spread([(label.start + label.width / 2, label.room) for label in outside], self.width)
        placed = {label.part: Label(*_fields(label), False, x) for label, x in zip(outside, centres, strict=True)}
        return [placed.get(label.part, label) for label in found]

    # ---- one bar -----------------------------------------------------------------------------------------------------

    def _block(self, kind: str, y: int) -> str:
        labels = self.labels(kind)
        parts = "".join(_segment(label) for label in labels)
        texts = "".join(_inside(label) if label.inside else _outside(label) for label in labels)
        return f'<g class="{kind}" transform="translate(0 {y})">{self._head(kind)}{parts}{texts}{self._ticks(kind)}</g>'

    def _head(self, kind: str) -> str:
        total = sum(getattr(self.view.budget, kind).values())
        parts = [f'<text class="t b" x="0" y="14">{NAMES[kind]}</text>']
        parts.append(f'<text class="total b" x="126" y="14">{amount(total)}</text>')
        if self.counted is None or self.width >= 740:
            parts.append(f'<text class="exact d" x="236" y="14">{exact(total)}</text>')
        if self.counted is not None:
            equal = " b" if getattr(self.counted, kind) == total else " b off"
            text = html.escape(count_text(self.counted, kind, total))
            parts.append(f'<text class="mine{equal}" x="{self.width}" y="14">{text}</text>')
        return "".join(parts)

    def _ticks(self, kind: str) -> str:
        """Where the borders between parts stood before the move, if they have moved."""
        if self.before is None:
            return ""
        now, was = (_borders(view.shares(kind), self.width) for view in (self.view, self.before))
        return "".join(
            f'<rect class="w{i} was" x="{b - 0.75:.1f}" y="{BAR_TOP - 6}" width="1.5" height="11"/>'
            for i, (a, b) in enumerate(zip(now, was, strict=True))
            if abs(a - b) >= 0.5
        )

    def _foot(self) -> str:
        y = HEIGHT - 6
        parts = [f'<text class="zero d" x="{self.width}" y="{y}">{UNCOUNTED}</text>']
        if self.before is not None:
            parts.append(f'<rect class="was" x="0" y="{y - 9}" width="1.5" height="11"/>')
            parts.append(f'<text class="key d" x="7" y="{y}">before the move</text>')
        return f'<g class="foot">{"".join(parts)}</g>'


def _fields(label: Label) -> tuple:
    return label.part, label.name, label.amount, label.start, label.width


def _segment(label: Label) -> str:
    width = max(label.width, 1)  # what is not zero is seen
    return f'<rect class="s-{label.part} seg" x="{label.start:.1f}" y="{BAR_TOP}" width="{width:.1f}" height="{BAR}"/>'


def _inside(label: Label) -> str:
    x, y, part = f"{label.start + 8:.1f}", BAR_TOP + 17, label.part
    return (
        f'<g class="l-{part} in"><text class="nm" x="{x}" y="{y}">{html.escape(label.name)}</text>'
        f'<text class="am" x="{x}" y="{y + 15}">{label.amount}</text></g>'
    )


def _outside(label: Label) -> str:
    middle, y, x = label.start + label.width / 2, BAR_TOP + BAR, f"{label.centre:.1f}"
    return (
        f'<g class="l-{label.part} out"><path class="to" d="M{middle:.1f} {y}v3L{x} {y + 9}"/>'
        f'<text class="nm" x="{x}" y="{y + 21}">{html.escape(label.name)}</text>'
        f'<text class="am" x="{x}" y="{y + 35}">{label.amount}</text></g>'
    )


def _borders(shares: dict[str, float], width: int) -> list[float]:
    """px of the borders between neighbours."""
    at, borders = 0.0, []
    for share in list(shares.values())[:-1]:
        at += share * width
        borders.append(at)
    return borders


def _spread(wanted: list[tuple[float, float]], width: int) -> list[float]:
    """(centre, room) of labels from left to right -> centres that keep them apart and inside of the figure."""
    ends, lefts = 0.0, []
    for centre, room in wanted:
        left = max(centre - room / 2, ends)
        lefts.append(left)
        ends = left + room + BETWEEN
    limit = float(width)
    for i in reversed(range(len(wanted))):
        lefts[i] = min(lefts[i], limit - wanted[i][1])
        limit = lefts[i] - BETWEEN
    return [left + room / 2 for left, (_, room) in zip(lefts, wanted, strict=True)]
