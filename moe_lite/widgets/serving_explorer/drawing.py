"""The upper picture of the serving explorer: lines over batch, and under them a strip of ratios."""

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from moe_lite.lab.hosting import BATCHES
from moe_lite.look.svg import figure
from moe_lite.look.words import number
from moe_lite.widgets.serving_explorer.view import ACTIVE, KEYS, MIXTURE, MOST, WHOLE, ServingView
from moe_lite.widgets.serving_explorer.words import (
    COUNTS,
    digits,
    name_of,
    parameters_text,
    speed_text,
    tick_text,
)

WIDEST, TWIN, NARROWEST = 812, 760, 460  # px
LEFT, TOP, HEIGHT = 44, 40, 172  # px: for numbers at the left; over and of the upper axes
BETWEEN, STRIP = 34, 62  # px between the axes, and of the lower ones
FOOT, SCRUB = 36, 40  # px under them, and where the script puts the slider
NAMES, FEW_NAMES = 176, 138  # px for the names at the right; in a narrow figure
GAP = 22  # px between axes and names, for the lines that lead to them
NAME, LETTER = 31, 5.9  # px of a name with its speed; of a letter of 11 px at most
ORDER = (WHOLE, ACTIVE, MIXTURE)  # the mixture is drawn over the others
LOOKS = {MIXTURE: "e3 mixture", ACTIVE: "active", WHOLE: "whole"}
SHAPES = {
    MIXTURE: "M-4 0A4 4 0 1 0 4 0A4 4 0 1 0 -4 0Z",
    ACTIVE: "M-3.6 -3.6H3.6V3.6H-3.6Z",
    WHOLE: "M0 -4.8L4.8 3.6H-4.8Z",
}
Point = tuple[float, float]


def mark(key: str, x: float, y: float) -> str:
    return f'<path class="dot" transform="translate({x:.1f} {y:.1f})" d="{SHAPES[key]}"/>'


@dataclass(frozen=True)
class Lines:
    """Tokens per second over batch, and under it the mixture's time over that of the dense model of active size, in
    `width` px. live: with room for the slider and a line that can be dragged."""

    view: ServingView
    before: ServingView | None
    width: int
    live: bool = False

    def svg(self, label: str) -> str:
        """The figure, with `label` as its text alternative."""
        body = self._cursor() + self._frame() + self._strip_frame()
        body += "".join(map(self._line, ORDER)) + "".join(map(self._ratio, (WHOLE, MIXTURE)))
        body += self._full() + self._dots() + self._names() + self._here()
        if self.live:
            box = f'x="{LEFT - 8}" y="{TOP}" width="{self.wide + 16:.1f}" height="{self.bottom - TOP + FOOT - 8}"'
            body += f'<rect class="grab" data-grab="" {box}/>'
        return figure(body, self.width, self.height, label, "serving", "group" if self.live else "img")

    def places(self) -> dict[str, float]:
        """Where the script finds the axis, in px of the figure."""
        at = {"figure": self.width, "height": self.height, "left": LEFT, "width": self.wide, "top": TOP}
        return at | {"bottom": self.bottom + FOOT - 6, "octaves": math.log2(MOST)}

    # ---- places

    @property
    def height(self) -> float:
        return self.bottom + FOOT + (SCRUB if self.live else 0)

    @property
    def strip_top(self) -> float:
        return TOP + HEIGHT + BETWEEN

    @property
    def bottom(self) -> float:
        return self.strip_top + STRIP

    @property
    def roomy(self) -> bool:
        return self.width >= 640

    @property
    def names_at(self) -> float:
        return self.width - (NAMES if self.roomy else FEW_NAMES)

    @property
    def wide(self) -> float:
        """px of the horizontal axis"""
        return self.names_at - GAP - LEFT

    def x(self, batch: float) -> float:
        return LEFT + self.wide * math.log2(batch) / math.log2(MOST)

    @cached_property
    def speeds(self) -> tuple[float, float]:
        """The ends of the upper vertical axis, tokens per second."""
        ends = [self.view.speed(key, batch) for key in KEYS for batch in (1, MOST)]
        return min(ends) / 1.15, max(ends) * 1.15

    def y(self, speed: float) -> float:
        low, high = map(math.log, self.speeds)
        return TOP + HEIGHT * (high - math.log(speed)) / (high - low)

    @cached_property
    def most_times(self) -> float:
        """The upper end of the strip."""
        return max(1.25, 1.08 * max(self.view.ratio(batch, WHOLE) for batch in self.view.batches))

    def level(self, ratio: float) -> float:
        """px of a ratio in the strip, from 1 at its foot; logarithmic, as the lines above it."""
        return self.bottom - STRIP * math.log(ratio) / math.log(self.most_times)

    # ---- axes

    def _frame(self) -> str:
        out = ['<text class="d" x="0" y="12">tokens per second of all texts together, at most</text>']
        for speed in speed_ticks(*self.speeds, HEIGHT):
            y = self.y(speed)
            out.append(f'<path class="grid" d="M{LEFT} {y:.1f}h{self.wide:.1f}"/>')
            out.append(f'<text class="d end" x="{LEFT - 6}" y="{y + 4:.1f}">{tick_text(speed)}</text>')
        out.append(f'<path class="ax" d="M{LEFT} {TOP + HEIGHT}h{self.wide:.1f}"/>')
        return "".join(out)

    def _strip_frame(self) -> str:
        title = "time per token, divided by that of the dense model of active size"
        if not self.roomy:
            title = "time per token over that of dense, active size"
        out = [f'<text class="d" x="0" y="{self.strip_top - 9}">{title}</text>']
        for ratio in ratio_ticks(self.most_times):
            y = self.level(ratio)
            kind = "ax" if ratio == 1 else "grid"
            out.append(f'<path class="{kind}" d="M{LEFT} {y:.1f}h{self.wide:.1f}"/>')
            out.append(f'<text class="d end" x="{LEFT - 6}" y="{y + 4:.1f}">{ratio:g} ×</text>')
        step = 1 if self.x(2) - LEFT >= 34 else 2
        for batch in BATCHES[::step]:
            x = self.x(batch)
            out.append(f'<path class="ax" d="M{x:.1f} {self.bottom}v4"/>')
            out.append(f'<text class="d mid" x="{x:.1f}" y="{self.bottom + 16}">{batch:,}</text>')
        end = LEFT + self.wide
        out.append(f'<text class="d end" x="{end:.1f}" y="{self.bottom + 30}">batch, texts at a time</text>')
        return "".join(out)

    # ---- lines

    def _line(self, key: str) -> str:
        """Solid as far as the batch fits into memory, faint beyond."""
        pairs = (("fits", self.view.within(key)), ("beyond", self.view.beyond(key)))
        lines = "".join(
            polyline(f"{kind} {key}", [(self.x(batch), self.y(self.view.speed(key, batch))) for batch in batches])
            for kind, batches in pairs
        )
        return f'<g class="{LOOKS[key]}">{lines}</g>'

    def _ratio(self, key: str) -> str:
        pairs = (("fits", self.view.within(key)), ("beyond", self.view.beyond(key)))
        lines = "".join(
            polyline(f"{kind} times", [(self.x(batch), self.level(self.view.ratio(batch, key))) for batch in batches])
            for kind, batches in pairs
        )
        return f'<g class="{LOOKS[key]}">{lines}</g>'

    def _full(self) -> str:
        """Where each memory ends: a line from the end up to its number of texts. The mixture and the dense model of its
        whole size hold as much, so they share one."""
        room, out, free = self.view.room, [], 0.0
        for keys in ((MIXTURE, WHOLE), (ACTIVE,)):
            most = room[keys[0]]
            if most >= MOST:
                continue
            x, y = self.x(most), self.y(self.view.speed(keys[0], most))
            words = f"memory full at {most:,}" if keys[0] == MIXTURE or free == 0 else f"at {most:,}"
            long = LETTER * len(words) + 13 * len(keys)
            left = x - long - 2 if keys[0] == MIXTURE else x + 4
            left = min(max(left, free, 0.0), self.width - long)
            free = left + long + 10
            out += [
                f'<g class="{LOOKS[key]}">{mark(key, left + 5 + 13 * i, TOP - 14)}</g>' for i, key in enumerate(keys)
            ]
            out.append(f'<text class="d" x="{left + 13 * len(keys):.1f}" y="{TOP - 10}">{words}</text>')
            out.append(f'<path class="edge" d="M{x:.1f} {TOP - 20}V{y - 5:.1f}"/>')
            out.append(f'<path class="cap" d="M{x:.1f} {y - 5:.1f}v10"/>')
        return "".join(out)

    # ---- the marker

    def _cursor(self) -> str:
        """The chosen batch, and where it was before the move."""
        tall = self.bottom - TOP + (FOOT - 6 if self.live else 0)
        gone = ""
        if self.before is not None and self.before.batch != self.view.batch:
            gone = f'<path class="gone" d="M{self.x(self.before.batch):.1f} {TOP}V{self.bottom}"/>'
        return (
            f'{gone}<path class="cursor" d="M0 0v{tall}" transform="translate({self.x(self.view.batch):.1f} {TOP})"/>'
        )

    def _dots(self) -> str:
        """The three speeds at the chosen batch; a tick where one stood before, if the batch is the same."""
        view, x, out = self.view, self.x(self.view.batch), []
        for key in ORDER:
            y = self.y(view.speed(key))
            says = f"{name_of(view, key)}: {speed_text(view.speed(key))} tokens per second"
            inside = f"<title>{html.escape(says)}</title>{mark(key, x, y)}"
            out.append(f'<g class="{LOOKS[key]} here{"" if view.fits(key) else " off"}">{inside}</g>')
        if self.before is not None and self.before.batch == view.batch:
            for key in ORDER:
                was = self.y(self.before.speed(key))
                if TOP <= was <= TOP + HEIGHT and abs(was - self.y(view.speed(key))) >= 1:
                    out.append(f'<rect class="was" x="{x - 7:.1f}" y="{was - 0.75:.1f}" width="14" height="1.5"/>')
        off = "" if view.fits(MIXTURE) else " off"
        out.append(f'<g class="{LOOKS[MIXTURE]} here{off}">{mark(MIXTURE, x, self.level(view.ratio()))}</g>')
        return "".join(out)

    def _here(self) -> str:
        """The ratio at the chosen batch, in words beside the strip."""
        x, y = self.names_at, self.strip_top + STRIP / 2
        times = number(self.view.ratio(), 2 if self.view.ratio() < 9.995 else 1)
        batch = f"at a batch of {self.view.batch:,}"
        return (
            f'<text class="b" x="{x:.1f}" y="{y:.1f}">{times} times as long</text>'
            f'<text class="d" x="{x:.1f}" y="{y + 14:.1f}">{batch}</text>'
        )

    # ---- names

    def _names(self) -> str:
        ends = sorted((self.y(self.view.speed(key, MOST)), KEYS[::-1].index(key), key) for key in KEYS)
        tops = spread_out([y for y, _, _ in ends], NAME, TOP, TOP + HEIGHT)
        out, x = [], self.names_at
        for (y, _, key), at in zip(ends, tops, strict=True):
            lead = f"M{LEFT + self.wide + 4:.1f} {y:.1f}L{x - 10:.1f} {at - 6:.1f}"
            out.append(
                f'<g class="{LOOKS[key]}"><path class="lead" d="{lead}"/>{mark(key, x - 2, at - 6)}'
                f'<text class="nm{" b" if key == MIXTURE else ""}" x="{x + 8:.1f}" y="{at - 2:.1f}">'
                f"{html.escape(self._title(key))}</text>"
                f'<text class="d" x="{x + 8:.1f}" y="{at + 11:.1f}">{self._under(key)}</text></g>'
            )
        return "".join(out)

    def _title(self, key: str) -> str:
        name = name_of(self.view, key)
        letters = int((self.width - self.names_at - 8) / (7.4 if key == MIXTURE else 6.8))
        return name if len(name) <= letters else f"{name[: letters - 1]}…"

    def _under(self, key: str) -> str:
        """How large it is."""
        total = parameters_text(self.view.parameters(key))
        if key != MIXTURE or not self.roomy:
            return f"{total}{' parameters' if self.roomy else ''}"
        unit = next((size for size, _ in COUNTS if self.view.parameters(WHOLE) >= size), 1.0)
        return f"{digits(self.view.parameters(ACTIVE) / unit)} of {total} active"


def polyline(name: str, points: Iterable[Point]) -> str:
    """Nothing for a line of fewer than two points."""
    points = list(points)
    if len(points) < 2:
        return ""
    return f'<polyline class="{name}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'


def spread_out(wanted: Sequence[float], room: float, top: float, bottom: float) -> list[float]:
    """Middles from the top down, `room` px apart at least, between top and bottom."""
    placed: list[float] = []
    for y in wanted:
        placed.append(max(y, top + room / 2, *(at + room for at in placed[-1:])))
    limit = bottom - room / 2
    for i in reversed(range(len(placed))):
        placed[i] = min(placed[i], limit)
        limit = placed[i] - room
    return placed


def speed_ticks(low: float, high: float, px: float) -> list[float]:
    """Round speeds, as many as are 20 px apart at least."""
    per_decade = px / math.log10(high / low)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in (range(10, 100, 5), range(10, 100, 10), (10, 15, 20, 30, 50, 70), (10, 20, 50)):
        if per_decade * min(math.log10(b / a) for a, b in pairwise([*steps, 100])) >= 20:
            return [m * 10.0 ** (p - 1) for p in powers for m in steps if low <= m * 10.0 ** (p - 1) <= high]
    each = math.ceil(20 / per_decade)
    return [10.0**p for p in powers if p % each == 0 and low <= 10.0**p <= high]


def ratio_ticks(most: float) -> list[float]:
    """1 and round ratios above it, at most five of them."""
    for ticks in ((1, 1.1, 1.2, 1.3), (1, 1.5, 2, 3), (1, 2, 3, 5), (1, 2, 5, 10, 20), (1, 5, 20, 100)):
        if most < 1.6 * ticks[-1]:
            break
    return [tick for tick in ticks if tick <= most]
