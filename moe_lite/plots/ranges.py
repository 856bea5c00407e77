"""Ranges over seeds and confidence intervals, one row for each setting; the numbers are folded in beneath."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import torch
from torch import Tensor

from moe_lite.look.picture import Picture
from moe_lite.look.svg import drawn_only, figure, framed
from moe_lite.plots.tables import column_format, number, table

WIDTH, ROW, FOOT = 812, 24, 26  # px of the figure, of a row, and under the last one
LETTER, LINE = 6.8, 14  # px of a letter and of a line of text, about
GAP, SAID = 24, 10  # px between panels; from a mark to its numbers
APART = 12  # px between two groups of rows
NAME = 57  # letters of a row's name that fit into half of the figure; a longer one is cut
INTERVAL = 3  # numbers of a row that is a mean, a lower and an upper end
SHARES = {1: 1.0, 2: 1.2, INTERVAL: 1.8}  # of the width, by how many numbers a row of the panel has

_CSS = """
font:12px/1.4 var(--jp-ui-font-family,system-ui,sans-serif);color:var(--fg);max-width:812px;font-variant-numeric:tabular-nums;
.cap{margin:4px 0 8px;color:var(--fg2)}svg{display:block;max-width:100%;height:auto}
text{fill:var(--fg);font-size:12px}text.d{fill:var(--fg2);font-size:11px;paint-order:stroke;stroke:var(--bg);stroke-width:3px}text.ref{fill:var(--brandInk);font-weight:600}
.grid{stroke:var(--line);fill:none}.zero{stroke:var(--fg);fill:none}.band{fill:var(--brand);opacity:.12}
.bar{stroke:var(--fg);stroke-width:6;stroke-linecap:round;fill:none}.whisker{stroke:var(--fg);stroke-width:2;fill:none}
.dot{fill:var(--fg);stroke:var(--fg);stroke-width:1.6}.dot.open{fill:var(--bg)}
.bar.ref,.whisker.ref,.dot.ref{stroke:var(--brand)}.dot.ref{fill:var(--brand)}
details{margin:4px 0}summary{color:var(--fg2);cursor:pointer}
"""  # noqa: E501 - CSS


def ranges(
    least: Tensor,
    most: Tensor,
    caption: str,
    *,
    rows: Sequence[str],
    columns: Iterable[str],
    reference: int | None = None,
) -> Picture:
    """Bars from the least to the most of several seeds, a panel for each column.

    least, most (R, C); reference: a row whose range is shaded behind all others. The same numbers stand in a table that
    is folded in beneath.
    """
    if least.shape != most.shape or (most < least).any():
        raise ValueError(
            f"least {tuple(least.shape)} and most {tuple(most.shape)} should have one shape, and no least be above its "
            "most."
        )
    names = [*columns]
    panels = {name: torch.stack([least[:, i], most[:, i]], dim=1) for i, name in enumerate(names)}
    return compared(panels, caption, rows=rows, reference=reference, numbers=table(
        least, caption, to=most, rows=rows, columns=names))  # fmt: skip


def intervals(values: Tensor, caption: str, *, rows: Sequence[str], together: int | None = None) -> Picture:
    """Means with their confidence intervals around a line at 0; an open circle where the interval reaches across it.

    values (R, 3): mean, lower and upper end of each row; together: so many rows are a group.
    """
    return compared({"": values}, caption, rows=rows, together=together)


def compared(
    panels: Mapping[str, Tensor],
    caption: str,
    *,
    rows: Sequence[str],
    reference: int | None = None,
    numbers: Picture | None = None,
    together: int | None = None,
) -> Picture:
    """One panel for each measure, over the same rows.

    panels: {measure: (R,) dots, (R, 2) ranges from least to most, or (R, 3) means with intervals}; reference: a row
    that is shaded behind the others; numbers: a table that is folded in beneath; together: so many rows are a group,
    and a little room is left before the next one.
    """
    places = [ROW * i + (APART * (i // together) if together else 0) for i in range(len(rows))]  # px of each row
    drawn = [_Panel(name, values.double().reshape(len(values), -1), places) for name, values in panels.items()]
    for panel in drawn:
        if panel.values.shape[0] != len(rows) or panel.values.shape[1] > INTERVAL:
            shape = tuple(panels[panel.name].shape)
            raise ValueError(
                f"{panel.name} has the shape {shape}; expected {len(rows)} rows of one, two or three numbers."
            )
        if not torch.isfinite(panel.values).all():
            raise ValueError(f"{panel.name} holds a number that is not finite; nothing can be drawn for it.")
    if reference is not None:
        caption = f"{caption}; shaded: {rows[reference]}"
    named = [row if len(row) <= NAME else f"{row[: NAME - 1].rstrip()}…" for row in rows]
    left = LETTER * max(map(len, named)) + 12
    shares = [SHARES[panel.values.shape[1]] for panel in drawn]
    rooms = [(WIDTH - left - GAP * (len(drawn) - 1)) * share / sum(shares) for share in shares]
    top = 10 + LINE * max(len(panel.heads(room)) for panel, room in zip(drawn, rooms, strict=True))
    height = top + places[-1] + ROW + FOOT
    body = "".join(
        f'<text{_look("", i == reference)} x="{left - 12:.0f}" y="{top + places[i] + 16}" text-anchor="end">'
        f"{escape(row)}</text>"
        for i, row in enumerate(named)
    )
    for panel, room in zip(drawn, rooms, strict=True):
        body += panel.svg(left, room, top, height - FOOT, reference)
        left += room + GAP
    read = (f"{row}: {'; '.join(panel.words(i) for panel in drawn)}." for i, row in enumerate(rows))
    alt = f"{caption}. {' '.join(read)}"
    svg = figure(body, WIDTH, height, alt, inline=True)
    folded = f"<details><summary>The numbers as a table</summary>{numbers.html}</details>" if numbers else ""
    head = f'<p class="cap">{escape(caption)}</p>'
    return Picture(framed("rg", _CSS, head, drawn_only(svg, alt), folded), alt)


def _look(name: str, reference: bool) -> str:
    classes = " ".join(filter(None, [name, "ref" if reference else ""]))
    return f' class="{classes}"' if classes else ""


@dataclass(frozen=True)
class _Panel:
    """One measure: values (R, 1), (R, 2) or (R, 3), and where each row begins, in px."""

    name: str
    values: Tensor
    places: Sequence[int]

    @property
    def is_interval(self) -> bool:
        return self.values.shape[1] == INTERVAL

    def said(self, row: int) -> str:
        """The numbers of a row as they stand beside its mark."""
        numbers = [self.show(value) for value in self.values[row].tolist()]
        if len(set(numbers)) == 1:
            return numbers[0]
        return f"{numbers[0]} ({numbers[1]} to {numbers[2]})" if self.is_interval else " to ".join(numbers)

    def show(self, value: float) -> str:
        """Without decimals where the largest have two digits before the point: what hides is smaller than a mark. The
        ends of an interval have a third decimal where two would hide on which side of 0 they are."""
        if self.values.abs().max() >= 10:
            return number(value, decimals=0) if abs(value) >= 0.5 or value == 0 else number(value)
        if self.is_interval and ((self.values != 0) & (self.values.abs() < 0.005)).any():
            return f"{value:z.3f}".replace("-", "−")
        return column_format(self.values.flatten().tolist())(value)

    def words(self, row: int) -> str:
        return f"{self.name} {self.said(row)}".strip()

    def heads(self, room: float) -> list[str]:
        """The name in lines that fit."""
        lines = [""]
        for word in self.name.split():
            longer = f"{lines[-1]} {word}".strip()
            if LETTER * len(longer) <= room or not lines[-1]:
                lines[-1] = longer
            else:
                lines.append(word)
        return lines

    def scale(self) -> list[float]:
        """The numbers of the axis, rising; all values lie between the first and the last."""
        low, high = self.values.min().item(), self.values.max().item()
        if self.is_interval or 0 <= low <= 0.6 * high:
            low, high = min(0.0, low), max(0.0, high)
        raw = max(high - low, 1e-9 * max(1.0, abs(high))) / 3
        power = 10 ** math.floor(math.log10(raw))
        step = power * next(m for m in (1, 2, 5, 10) if m * power >= 0.999 * raw)
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        return [step * i for i in range(first, max(last, first + 1) + 1)]

    def svg(self, left: float, room: float, top: float, bottom: float, reference: int | None) -> str:
        ticks = self.scale()
        words = LETTER * max(len(self.said(i)) for i in range(len(self.values))) + SAID
        wide = room - words  # of the axis

        def x(value: float) -> float:
            return left + 4 + (wide - 8) * (value - ticks[0]) / (ticks[-1] - ticks[0])

        show = column_format(ticks, max(2, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9)))  # no two look alike
        labels = [show(tick) for tick in ticks]
        every = math.ceil(LETTER * (max(map(len, labels)) + 1) * (len(ticks) - 1) / max(1.0, wide - 8))
        zero = next((i for i, tick in enumerate(ticks) if abs(tick) < 1e-12), 0)
        out = [
            f'<text x="{left:.1f}" y="{12 + LINE * i}">{escape(head)}</text>' for i, head in enumerate(self.heads(room))
        ]
        if reference is not None and not self.is_interval:
            low, high = self.values[reference].min().item(), self.values[reference].max().item()
            box = f'x="{x(low) - 3:.1f}" y="{top}" width="{x(high) - x(low) + 6:.1f}" height="{bottom - top}"'
            out.append(f'<rect class="band" {box}/>')
        for i, tick in enumerate(ticks):
            look = "zero" if self.is_interval and abs(tick) < 1e-12 else "grid"
            out.append(f'<path class="{look}" d="M{x(tick):.1f} {top}V{bottom}"/>')
            if (i - zero) % every == 0:
                out.append(
                    f'<text class="d" x="{x(tick):.1f}" y="{bottom + 15}" text-anchor="middle">{labels[i]}</text>'
                )
        for row, numbers in enumerate(self.values.tolist()):
            y = top + self.places[row] + 12
            out.append(self._mark(numbers, x, y, row == reference))
            right = left + wide + SAID if self.is_interval else x(max(numbers)) + SAID
            out.append(f'<text class="d" x="{right:.1f}" y="{y + 4}">{self.said(row)}</text>')
        return "".join(out)

    def _mark(self, numbers: list[float], x, y: float, reference: bool) -> str:
        def dot(value: float, name: str = "dot") -> str:
            return f'<circle{_look(name, reference)} cx="{x(value):.1f}" cy="{y}" r="4"/>'

        if self.is_interval:
            mean, low, high = numbers
            line = f'<path{_look("whisker", reference)} d="M{x(low):.1f} {y}H{x(high):.1f}"/>'
            return line + dot(mean, "dot open" if low < 0 < high else "dot")
        if max(numbers) == min(numbers):
            return dot(numbers[0])
        return f'<path{_look("bar", reference)} d="M{x(numbers[0]):.1f} {y}H{x(numbers[1]):.1f}"/>'
