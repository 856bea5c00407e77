"""One case's dashboard as a picture: its numbers as bars over the healthy range, and two load heatmaps."""

import html
from collections.abc import Iterable
from dataclasses import dataclass
from math import log2

from moe_lite.lab.failure_runs import BIN, FailureRun, FailureRuns
from moe_lite.look.palette import expert_class
from moe_lite.look.svg import figure
from moe_lite.metrics import DEAD_BELOW, fair_multiples
from moe_lite.widgets.failure_gallery.view import longest
from moe_lite.widgets.failure_gallery.words import GROUPS, MEANS, SHOWN, range_text, spoken, value_text

NARROWEST, WIDEST, TWIN = 560, 812, 760  # px
HEAD, ROW, GAP = 24, 20, 8  # of the numbers: the heading, a line, the room between groups
NAME, VALUE, RANGE = 182, 64, 132  # px of the columns beside the track
THIN = 3  # px that a range takes at least
EXPERT, TITLE = 13, 44  # of the heatmaps: a row, the room above
BADGE, SHARE, BETWEEN = 26, 30, 14  # px: numerals at the left, last share at the right of a map, room between maps
HOTTEST = 4.0  # times the fair share: the colour ends here


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
    def _maps_top(self) -> int:
        return HEAD + ROW * len(SHOWN) + GAP * len(GROUPS) + 8

    # ---- numbers -----------------------------------------------------------------------------------------------------

    def _numbers(self) -> str:
        right = self.width - RANGE
        n_seeds = sum(run.name == self.healthy.name for run in self.runs.runs)
        parts = [
            f'<text class="h-case b r" x="{right - 12}" y="14">case {self.letter}</text>',
            f'<text class="h-range d" x="{right}" y="14">healthy, {n_seeds} seeds</text>',
        ]
        y = HEAD
        for group in GROUPS:
            for symptom in group:
                parts.append(self._row(symptom, y))
                y += ROW
            y += GAP
        return f'<g class="numbers">{"".join(parts)}</g>'

    def _row(self, symptom: str, y: int) -> str:
        value, (low, high) = getattr(self.run.symptoms, symptom), self.runs.healthy_range(symptom)
        room = self.width - NAME - VALUE - RANGE - 12
        left, right, length = (room * x / longest(self.runs, symptom) for x in (low, high, value))
        band = max(right - left, THIN)
        left = NAME + min(max((left + right - band) / 2, 0), room - band)
        told = symptom in self.told
        row, name = ("row told", "name b") if told else ("row", "name")
        return (
            f'<g class="s-{symptom} {row}"><title class="tip">{html.escape(MEANS[symptom])}</title>'
            f'<text class="{name}" x="12" y="{y + 14}">{html.escape(SHOWN[symptom][0])}</text>'
            f'<path class="base" d="M{NAME} {y + 10}h{room}"/>'
            f'<rect class="band" x="{left:.1f}" y="{y + 3}" width="{band:.1f}" height="14"/>'
            f'<rect class="value" x="{NAME}" y="{y + 7}" width="{max(length, 1):.1f}" height="6"/>'
            f'<text class="number b r" x="{self.width - RANGE - 12}" y="{y + 14}">{value_text(symptom, value)}</text>'
            f'<text class="range d" x="{self.width - RANGE}" y="{y + 14}">{range_text(symptom, low, high)}</text>'
            f"{_pointer(y) if told else ''}</g>"
        )

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


def _pointer(y: int) -> str:
    return f'<path class="pointer" d="M2 {y + 5}l6 5l-6 5z"/>'


def table(letter: str, run: FailureRun, runs: FailureRuns) -> str:
    """The same numbers for pages that cannot show SVG."""
    head = _cells("th", (f"case {letter}", "healthy"), "<td></td>")
    rows = (
        _cells("td", (
            label, value_text(symptom, getattr(run.symptoms, symptom)),
            range_text(symptom, *runs.healthy_range(symptom)),
        ))
        for symptom, (label, _) in SHOWN.items()
    )  # fmt: skip
    return f"<table>{head}{''.join(rows)}</table>"


def _cells(tag: str, texts: Iterable[str], before: str = "") -> str:
    return f"<tr>{before}{''.join(f'<{tag}>{html.escape(text)}</{tag}>' for text in texts)}</tr>"
