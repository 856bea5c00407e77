"""The cache explorer's lower figures: how many experts a batch touches, and how fast it was measured to be."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from moe_lite.lab.decoding import BATCHES
from moe_lite.look.svg import figure
from moe_lite.widgets.cache_explorer.drawing import legend
from moe_lite.widgets.cache_explorer.view import MOST_TEXTS, Batch
from moe_lite.widgets.cache_explorer.words import LINES, SPEEDS, of_domain, speed_text

WIDTH, LEFT, TOP, TALL, FOOT = 460, 46, 24, 130, 34  # px
TICKS = tuple(2**i for i in range(7))
PER_OCTAVE = 4  # points of a line
SIGNS = {
    "even": '<path class="even" d="M0 6h20"/>',
    "shares": '<path class="shares" d="M0 6h20"/>',
    "counted": '<circle class="counted" cx="10" cy="6" r="3.2"/>',
    "timed": '<circle class="timed" cx="10" cy="6" r="3.6"/>',
    "ahead": '<path class="ahead" d="M0 6h20"/>',
}


def x(n: float) -> float:
    """px of a batch"""
    return LEFT + (WIDTH - LEFT - 14) * math.log2(n) / math.log2(MOST_TEXTS)


def path(look: str, ns: list[float], y: Callable[[float], float]) -> str:
    return f'<polyline class="{look}" points="{" ".join(f"{x(n):.1f},{y(n):.1f}" for n in ns)}"/>'


def frame(title: str) -> str:
    """Title and the axis of texts."""
    out = [f'<text class="d" x="0" y="11">{title}</text>', f'<path class="ax" d="M{LEFT} {TOP + TALL}H{WIDTH - 14}"/>']
    for n in TICKS:
        out.append(f'<text class="d mid" x="{x(n):.1f}" y="{TOP + TALL + 15}">{n}</text>')
    out.append(f'<text class="d end" x="{WIDTH - 6}" y="{TOP + TALL + 30}">texts at a time</text>')
    return "".join(out)


def level(y: float, text: str) -> str:
    """A line of the grid, and its number."""
    line = f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - 14}"/>'
    return f'{line}<text class="d end" x="{LEFT - 6}" y="{y + 4:.1f}">{text}</text>'


@dataclass(frozen=True)
class Touched:
    """Experts of the layer that one step touches: even, by shares, counted; and where the slider stands."""

    batch: Batch

    def svg(self, label: str) -> str:
        batch, n_experts = self.batch, self.batch.setting.n_experts

        def y(touched: float) -> float:
            return TOP + TALL * (1 - touched / n_experts)

        ns = [2 ** (i / PER_OCTAVE) for i in range(PER_OCTAVE * 6 + 1)]
        levels = "".join(level(y(e), str(e)) for e in range(n_experts // 4, n_experts + 1, n_experts // 4))
        at = batch.setting.batch
        body = frame(f"experts of layer {batch.setting.layer} that one step touches") + levels
        body += f'<path class="cursor" d="M{x(at):.1f} {TOP}V{TOP + TALL}"/>'
        body += path("even", ns, lambda n: y(batch.even(n))) + path("shares", ns, lambda n: y(batch.by_shares(n)))
        body += "".join(
            f'<circle class="counted" cx="{x(n):.1f}" cy="{y(batch.counted(n)):.1f}" r="3.2"/>' for n in batch.points
        )
        body += f'<circle class="here" cx="{x(at):.1f}" cy="{y(batch.best(at)):.1f}" r="5.5"/>'
        return figure(body, WIDTH, TOP + TALL + FOOT, label, "touched")


@dataclass(frozen=True)
class Speeds:
    """Tokens per second as measured, and as bytes predict them from the speed with one text."""

    batch: Batch
    speeds: Mapping[int, float]

    def svg(self, label: str) -> str:
        ahead = {n: self.batch.predicted(n, self.speeds[1]) for n in BATCHES}
        every = [*self.speeds.values(), *ahead.values()]
        low, high = math.log(min(every) / 1.15), math.log(max(every) * 1.15)

        def y(speed: float) -> float:
            return TOP + TALL * (high - math.log(speed)) / (high - low)

        body = frame("tokens per second of all texts together")
        body += "".join(level(y(speed), speed_text(speed)) for speed in round_speeds(math.exp(low), math.exp(high)))
        body += path("ahead", list(BATCHES), lambda n: y(ahead[n]))
        body += "".join(
            f'<circle class="timed" cx="{x(n):.1f}" cy="{y(speed):.1f}" r="3.6"/>' for n, speed in self.speeds.items()
        )
        return figure(body, WIDTH, TOP + TALL + FOOT, label, "speeds")


def round_speeds(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten between two speeds; fewer where that would be many."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if high / low < 300 else (1,)
    return [m * 10.0**p for p in powers for m in steps if low <= m * 10.0**p <= high]


# ---- legends ---------------------------------------------------------------------------------------------------------


def touched_legend(batch: Batch) -> str:
    """The lines, with their values where the slider stands."""
    n = batch.setting.batch
    values = {"even": batch.even(n), "shares": batch.by_shares(n)}
    if batch.measured:
        values["counted"] = batch.counted(n)
    domain = of_domain(batch.setting.domain)
    return legend(
        (sign(kind, "touched"), f"{LINES[kind].format(domain=domain)}: {value:.1f}") for kind, value in values.items()
    )


def speeds_legend() -> str:
    return legend((sign(kind, "speeds"), words) for kind, words in SPEEDS.items())


def sign(kind: str, look: str) -> str:
    box = f'class="{look} sw" width="20" height="12" viewBox="0 0 20 12" aria-hidden="true"'
    return f"<svg {box}>{SIGNS[kind]}</svg>"


# ---- static twin -----------------------------------------------------------------------------------------------------


def speeds_table(batch: Batch, speeds: Mapping[int, float]) -> str:
    """For pages that drop SVG."""
    rows = {
        "texts at a time": [str(n) for n in speeds],
        "tokens per second, measured": [speed_text(speed) for speed in speeds.values()],
        "predicted from bytes": [speed_text(batch.predicted(n, speeds[1])) for n in speeds],
    }
    return _table(rows)


def touched_table(batch: Batch) -> str:
    rows = {
        "texts at a time": [str(n) for n in TICKS],
        "even choices": [f"{batch.even(n):.1f}" for n in TICKS],
        "by shares": [f"{batch.by_shares(n):.1f}" for n in TICKS],
    }
    if batch.measured:
        rows["counted"] = [f"{batch.counted(n):.1f}" for n in TICKS]
    return _table(rows)


def _table(rows: Mapping[str, list[str]]) -> str:
    body = "".join(
        f"<tr><td>{name}</td>{''.join(f'<td>{each}</td>' for each in cells)}</tr>" for name, cells in rows.items()
    )
    return f"<table>{body}</table>"
