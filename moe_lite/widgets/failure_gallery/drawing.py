"""One case's dashboard as a picture: how far each number lies from the healthy range, and two load heatmaps."""

import html
from collections.abc import Iterable
from dataclasses import dataclass
from math import copysign, log1p, log2

from moe_lite.lab.failure_runs import BIN, FailureRun, FailureRuns
from moe_lite.look.palette import expert_class
from moe_lite.look.svg import figure
from moe_lite.metrics import DEAD_BELOW, fair_multiples
from moe_lite.widgets.failure_gallery.view import ABOVE, BELOW, off_scale, widths_away
from moe_lite.widgets.failure_gallery.words import GROUPS, MEANS, SHOWN, beside_healthy, lines, spoken

NARROWEST, WIDEST, TWIN = 560, 812, 760  # px
HEAD, ROW, GAP, FOOT = 24, 20, 8, 20  # of the numbers: the heading, a line, the room between groups, the scale
NAME, VALUE, RANGE = 204, 72, 112  # px of the columns beside the track
EXPERT, TITLE = 13, 44  # of the heatmaps: a row, the room above
BADGE, SHARE, BETWEEN = 26, 30, 14  # px: numerals at the left, last share at the right of a map, room between maps
HOTTEST = 4.0  # times the fair share: the colour ends here
RADIUS = 5  # px of a mark
DISC = f"M{-RADIUS} 0a{RADIUS} {RADIUS} 0 1 0 {2 * RADIUS} 0a{RADIUS} {RADIUS} 0 1 0 {-2 * RADIUS} 0z"
ARROWS = {-1: f"M{RADIUS} {-RADIUS}v{2 * RADIUS}l{-2 * RADIUS} {-RADIUS}z",
          1: f"M{-RADIUS} {-RADIUS}v{2 * RADIUS}l{2 * RADIUS} {-RADIUS}z"}  # fmt: skip


@dataclass(frozen=True)
class Scale:
    """Where a number stands, in px from the track's left end: the same for all numbers, and the healthy range always in
    one place. Inside it the scale is even, outside it logarithmic, in widths of the range. No mark touches a border."""

    room: float

    @property
    def band(self) -> tuple[float, float]:
        """The borders of the healthy range."""
        width = 0.27 * self.room
        left = (self.room - width) * log1p(BELOW) / (log1p(BELOW) + log1p(ABOVE))
        return left, left + width

    def inside(self, share: float) -> float:
        """share: 0 at the lower border, 1 at the upper one."""
        left, right = self.band
        return left + RADIUS + 1 + (right - left - 2 * RADIUS - 2) * share

    def outside(self, widths: float) -> float:
        """widths: as view.widths_away gives them. What is off the scale stands at its end."""
        left, right = self.band
        border, end, most = (left, RADIUS, BELOW) if widths < 0 else (right, self.room - RADIUS, ABOVE)
        first = border + copysign(RADIUS + 1, widths)
        return first + (end - first) * min(log1p(abs(widths)) / log1p(most), 1)


@dataclass(frozen=True)
class GalleryDrawing:
    """A case beside the healthy training. `told`: symptoms that are marked, once an answer was given."""

    letter: str
    run: FailureRun
    healthy: FailureRun
    runs: FailureRuns
    told: frozenset[str]
    width: int

    def svg(self) -> str:
        """The figure with all numbers as its text alternative. Elements are found by the first word of `class`."""
        label = spoken(self.letter, self.run, self.runs)
        return figure(self._numbers() + self._maps(), self.width, self.height, label, "gallery")

    @property
    def height(self) -> int:
        return self._maps_top + TITLE + EXPERT * self.runs.model.n_experts + 18

    @property
    def _axis(self) -> int:
        """The height at which the numbers' scale stands, under their last line."""
        return HEAD + ROW * len(SHOWN) + GAP * (len(GROUPS) - 1) + 4

    @property
    def _maps_top(self) -> int:
        return self._axis + FOOT + 12

    # ---- numbers -----------------------------------------------------------------------------------------------------

    def _numbers(self) -> str:
        right = self.width - RANGE
        scale = Scale(right - NAME - VALUE - 12)
        start, stop = (NAME + border for border in scale.band)
        n_seeds = sum(run.name == self.healthy.name for run in self.runs.runs)
        parts = [
            '<text class="key d" x="12" y="14">○ inside  ● outside  ▸ off the scale</text>',
            f'<text class="h-band d m" x="{(start + stop) / 2:.1f}" y="14">healthy range</text>',
            f'<text class="h-case b r" x="{right - 12}" y="14">case {self.letter}</text>',
            f'<text class="h-range d" x="{right}" y="14">healthy, {n_seeds} seeds</text>',
            f'<path class="band" d="M{start:.1f} {HEAD - 4}H{stop:.1f}V{self._axis}H{start:.1f}z"/>',
        ]
        y = HEAD
        for group in GROUPS:
            for symptom, (name, _) in group.items():
                parts.append(self._row(symptom, name, y, scale))
                y += ROW
            y += GAP
        return f'<g class="numbers">{"".join(parts)}{self._scale(scale)}</g>'

    def _row(self, symptom: str, name: str, y: int, scale: Scale) -> str:
        shown, healthy = map(html.escape, beside_healthy(symptom, self.run, self.runs))
        value, (low, high) = getattr(self.run.symptoms, symptom), self.runs.healthy_range(symptom)
        told, right = symptom in self.told, self.width - RANGE
        look, bold = " told" if told else "", "" if low <= value <= high else " b"
        return (
            f'<g class="s-{symptom} row{look}"><title class="tip">{html.escape(MEANS[symptom])}</title>'
            f'<text class="name{bold}" x="12" y="{y + 14}">{html.escape(name)}</text>'
            f'<path class="base" d="M{NAME} {y + 10}h{scale.room}"/>{_mark(scale, value, low, high, y + 10)}'
            f'<text class="number{bold} r" x="{right - 12}" y="{y + 14}">{shown}</text>'
            f'<text class="range d" x="{right}" y="{y + 14}">{healthy}</text>'
            f"{_pointer(y) if told else ''}</g>"
        )

    def _scale(self, scale: Scale) -> str:
        """Under the lines: how many widths of the range something lies outside it."""
        y, parts = self._axis, []
        for i, widths in enumerate((-1, 1, 10)):
            x = NAME + scale.outside(widths)
            parts.append(f'<path class="tick{i} ax" d="M{x:.1f} {y}v4"/>')
            parts.append(f'<text class="at{i} d m" x="{x:.1f}" y="{y + 15}">{abs(widths)}</text>')
        title = f'<text class="unit d" x="12" y="{y + 15}">distance, in widths of the range</text>'
        return f'<g class="scale">{title}<path class="line ax" d="M{NAME} {y + 0.5}h{scale.room}"/>{"".join(parts)}</g>'

    # ---- heatmaps ----------------------------------------------------------------------------------------------------

    def _maps(self) -> str:
        n_layers, top = self.runs.model.n_layers, self._maps_top
        each = (self.width - BADGE - BETWEEN * (2 * n_layers - 1)) / (2 * n_layers)
        parts = [self._badges(top + TITLE)]
        for i, (run, name) in enumerate(
            ((self.run, f"case {self.letter}"), (self.healthy, f"healthy, seed {self.healthy.seed}"))
        ):
            for layer in range(n_layers):
                place = i * n_layers + layer
                x = BADGE + place * (each + BETWEEN)
                title = f'<text class="title b" x="{x:.1f}" y="{top + 14}">{name}</text>' if layer == 0 else ""
                parts.append(f'<g class="map{place}">{title}{self._map(run, layer, x, top, each - SHARE)}</g>')
        return f'<g class="maps">{"".join(parts)}</g>'

    def _badges(self, top: float) -> str:
        n_experts = self.runs.model.n_experts
        return '<g class="badges">' + "".join(
            f'<g class="b{e} {expert_class(e, n_experts)}"><rect class="tint" x="0" y="{top + e * EXPERT}" width="18" '
            f'height="{EXPERT - 1}"/><text class="n0" x="9" y="{top + e * EXPERT + 10}">{e}</text></g>'
            for e in range(n_experts)
        ) + "</g>"  # fmt: skip

    def _map(self, run: FailureRun, layer: int, x: float, top: float, width: float) -> str:
        shares = fair_multiples(run.load)[:, layer]  # (S, E)
        n_bins, n_experts = shares.shape
        cell, y, bottom = width / n_bins, top + TITLE, top + TITLE + EXPERT * n_experts
        parts = [f'<text class="layer d" x="{x:.1f}" y="{top + 34}">layer {layer + 1}</text>']
        parts.append(f'<text class="fair d r" x="{x + width + SHARE - 2:.1f}" y="{top + 34}">× fair</text>')
        for e in range(n_experts):
            look, at = expert_class(e, n_experts), y + e * EXPERT
            cells = "".join(_cell(s, x + s * cell, at, cell, shares[s, e].item()) for s in range(n_bins))
            number = _last(shares[-1, e].item(), x + width + SHARE - 2, at + 10)
            parts.append(f'<g class="x{e} {look}">{cells}{number}</g>')
        parts.append(f'<path class="foot ax" d="M{x:.1f} {bottom + 0.5}h{width:.1f}"/>')
        parts.append(f'<text class="from d" x="{x:.1f}" y="{bottom + 14}">step 1</text>')
        parts.append(f'<text class="to d r" x="{x + width:.1f}" y="{bottom + 14}">{n_bins * BIN}</text>')
        return "".join(parts)


def _cell(s: int, x: float, y: float, width: float, share: float) -> str:
    """Page at 0, the expert's tint at its fair share, its mark at four times that."""
    if share <= 1:
        kind, strength = "cold", share**0.8
    else:
        kind, strength = "hot", min(1.0, log2(share) / log2(HOTTEST))
    return (
        f'<rect class="c{s} {kind}" x="{x:.1f}" y="{y}" width="{width:.1f}" height="{EXPERT - 1}" '
        f'style="--w:{100 * strength:.0f}%"/>'
    )


def _last(share: float, x: float, y: int) -> str:
    """The last bin's share beside its row; a dead expert's in red."""
    text, look = ("0", "bad") if share < DEAD_BELOW else (f"{share:.1f}", "d")
    return f'<text class="last r {look}" x="{x:.1f}" y="{y}">{text}</text>'


def _mark(scale: Scale, value: float, low: float, high: float, y: int) -> str:
    """A disc, open inside the healthy range; an arrow where the scale does not reach."""
    widths = widths_away(value, low, high)
    look, shape = ("out", DISC) if widths else ("in", DISC)
    if off_scale(widths):
        look, shape = "far", ARROWS[round(copysign(1, widths))]
    x = NAME + (scale.outside(widths) if widths else scale.inside((value - low) / (high - low) if high > low else 0.5))
    return f'<path class="mark {look}" d="{shape}" transform="translate({x:.1f} {y})"/>'


def _pointer(y: int) -> str:
    return f'<path class="pointer" d="M2 {y + 5}l6 5l-6 5z"/>'


def table(letter: str, run: FailureRun, runs: FailureRuns) -> str:
    """The same numbers for pages that cannot show SVG."""
    head = _cells("th", (f"case {letter}", "healthy", "the case lies"), "<td></td>")
    rows = "".join(_cells("td", line) for line in lines(run, runs))
    return f"<table>{head}{rows}</table>"


def _cells(tag: str, texts: Iterable[str], before: str = "") -> str:
    return f"<tr>{before}{''.join(f'<{tag}>{html.escape(text)}</{tag}>' for text in texts)}</tr>"
