"""The capacity view as HTML: the text with its experts, what the signs mean, and the queue of every expert as SVG."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from moe_lite.look.palette import expert_class
from moe_lite.look.svg import figure
from moe_lite.widgets.capacity_view.view import Rooms
from moe_lite.widgets.capacity_view.words import legend, token_sentence
from moe_lite.widgets.kit.parts import plain
from moe_lite.widgets.kit.text import row_html, tile_html
from moe_lite.widgets.kit.widget import badge_html, inline_tint

WIDEST, NARROWEST = 812, 460  # px
ROW, BOX, LEFT, TOP = 18, 12, 28, 34  # px: height of a queue and of a place, room for numerals, for what stands above
COLUMN = 44  # px of a column of counts
MOST_CELL, LEAST_CELL = 16, 4  # px; narrower places stand without gaps
FARTHEST = 4  # times the longest queue: a table that is longer runs out of the picture


def drawing(now: Rooms, width: int, label: str) -> str:
    """What stands under the text, live: `label` is the name of the queues, whose places can be reached by keys."""
    return f'{legend_html(now)}<div class="queues">{Queues(now, width).svg(label, live=True)}</div>'


# ---- the text --------------------------------------------------------------------------------------------------------


def token_look(now: Rooms, token: int) -> str:
    """The classes of a token's tile: its first expert that has room, or that it has lost all, or asked for none."""
    choices = now.choices[token]
    if not choices:
        return "none"
    leading = next((expert for expert, kept in choices if kept), None)
    return "gone" if leading is None else expert_class(leading, now.n_experts)


def badge_width(n_experts: int) -> int:
    """px of an expert's numeral behind a token, which is a badge here."""
    return 7 + 7 * len(str(n_experts - 1))


def text_html(now: Rooms, pinned: int = -1) -> str:
    """The text, as the script draws it, too. pinned: a token that is framed."""
    tokens = row_html(now.faces, (_token(now, n, pinned == n) for n in range(len(now.faces))))
    numeral = f"--num:{badge_width(now.n_experts)}px"
    return (
        f'<div class="plain" style="{numeral}"><div class="dom"><span></span><div class="tx">{tokens}</div></div></div>'
    )


def _token(now: Rooms, token: int, pinned: bool) -> str:
    choices = now.choices[token]
    leading = next((expert for expert, kept in choices if kept), None)
    inline = f'style="--k:{len(choices)}"' if leading is None else inline_tint(leading, now.n_experts)
    numerals = " ".join(_numeral(e, kept, choice, now.n_experts) for choice, (e, kept) in enumerate(choices))
    return tile_html(
        now.faces[token],
        f"<sub><b>{numerals}</b></sub>" if choices else "",
        f"{token_look(now, token)}{' pin' if pinned else ''}",
        f'{inline} title="{html.escape(plain(token_sentence(now, token)))}"',
    )


def _numeral(expert: int, kept: bool, choice: int, n_experts: int) -> str:
    """On its tint, paler for a later choice; crossed out where there was no room."""
    tag = "i" if kept else "s"
    return f'<{tag} class="{expert_class(expert, n_experts)}{" later" if choice else ""}">{expert}</{tag}>'


def legend_html(now: Rooms) -> str:
    """What the signs mean that are to be seen; nothing where there is no style sheet to draw them."""
    signs = "".join(f'<span><i class="{look}"></i>{text}</span>' for look, text in legend(now))
    return f'<p class="note signs" hidden="hidden">{signs}</p>'


# ---- the queues ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Queues:
    """One row an expert: who waits for it, in the order of service, the empty rest of its table, and the counts.

    The line of the capacity stands between the places, and the counts to the right of all that it could cross.
    """

    now: Rooms
    width: int

    @cached_property
    def across(self) -> int:
        """Places that there is room for."""
        longest = max([*self.now.load, 1])
        return max(longest, min(self.now.limit or 0, FARTHEST * longest)) + 1

    @cached_property
    def columns(self) -> list[tuple[str, Sequence[int]]]:
        """Counts of every expert, by name."""
        load = self.now.load
        if self.now.limit is None:
            return [("asked", load)]
        return [("asked", load), ("kept", [min(self.now.limit, n) for n in load]), ("empty", self.now.free)]

    @cached_property
    def cell(self) -> float:
        return min(MOST_CELL, (self.width - LEFT - 12 - COLUMN * len(self.columns)) / self.across)

    @property
    def height(self) -> int:
        return TOP + ROW * self.now.n_experts + 6

    def x(self, place: int) -> float:
        return LEFT + place * self.cell

    @property
    def wide(self) -> float:
        """px of a place's box."""
        return self.cell - 1 if self.cell >= LEAST_CELL else self.cell

    def svg(self, label: str, live: bool = False, pinned: int = -1) -> str:
        """live: with roles for keys and pointer, else with titles. pinned: a token whose places are framed."""
        experts = range(self.now.n_experts)
        queues = "".join(self._queue(expert, live) for expert in experts)
        says = "Queues. Arrow keys move from place to place, Enter pins, Escape releases."
        group = f' role="listbox" aria-label="{says}" aria-orientation="horizontal"' if live else ""
        body = f"{self._counts()}{''.join(map(self._empty, experts))}<g{group}>{queues}</g>{self._line()}"
        rings = "".join(self._ring(expert, place) for expert, place in self._places(pinned))
        name = "rooms" if self.cell >= LEAST_CELL else "rooms tight"
        role = "group" if live else "img"
        return figure(f'{body}<g class="rings">{rings}</g>', self.width, self.height, label, name, role)

    def _places(self, token: int) -> list[tuple[int, int]]:
        if token < 0:
            return []
        return [(e, place) for (e, _), place in zip(self.now.choices[token], self.now.places[token], strict=True)]

    def _ring(self, expert: int, place: int) -> str:
        y = TOP + ROW * expert
        box = f'x="{self.x(place) - 1.5:.1f}" y="{y + 1.5}" width="{self.wide + 3:.1f}" height="{BOX + 3}"'
        return f'<rect {box} rx="1"/>'

    def _queue(self, expert: int, live: bool) -> str:
        now, name = self.now, expert_class(expert, self.now.n_experts)
        places = "".join(self._place(expert, place, live) for place in range(len(now.lines[expert])))
        if not places:
            return ""
        group = f' role="group" aria-label="expert {expert}"' if live else ""
        return f'<g class="{name}"{group}>{places}</g>'

    def _place(self, expert: int, place: int, live: bool) -> str:
        token, choice = self.now.lines[expert][place]
        _, kept = self.now.choices[token][choice]
        x, y = self.x(place), TOP + ROW * expert
        look = f"{'in' if kept else 'out'}{' later' if choice else ''}"
        box = f'<rect class="{look}" x="{x:.1f}" y="{y + 3}" width="{self.wide:.1f}" height="{BOX}"/>'
        stroke = "" if kept else f'<path class="stroke" d="M{x:.1f} {y + 3 + BOX}L{x + self.wide:.1f} {y + 3}"/>'
        if not live:
            said = html.escape(plain(token_sentence(self.now, token, choice)))
            return f"<g><title>{said}</title>{box}{stroke}</g>"
        hit = f'<rect class="hit" x="{x - 0.5:.1f}" y="{y}" width="{self.cell:.1f}" height="{ROW}"/>'
        return f'<g data-at="{expert},{place}" role="option" aria-selected="false" tabindex="-1">{hit}{box}{stroke}</g>'

    def _empty(self, expert: int) -> str:
        """The rows of a table that nobody fills, as far as there is room to draw them."""
        begin, end = self.now.load[expert], min(self.now.load[expert] + self.now.free[expert], self.across)
        if begin >= end:
            return ""
        y = TOP + ROW * expert + 3
        if self.cell < LEAST_CELL:
            return f'<path class="free" d="M{self.x(begin):.1f} {y}H{self.x(end):.1f}v{BOX}H{self.x(begin):.1f}z"/>'
        boxes = (f"M{self.x(i):.1f} {y}h{self.wide:.1f}v{BOX}h{-self.wide:.1f}z" for i in range(begin, end))
        return f'<path class="free" d="{"".join(boxes)}"/>'

    def _counts(self) -> str:
        """Badges at the left, columns of numbers at the right."""
        out, right = [], self.x(self.across) + 8
        for expert in range(self.now.n_experts):
            y = TOP + ROW * expert
            plate = f'<rect class="plate" x="0" y="{y + 1}" width="20" height="16" rx="3"/>'
            numeral = f'<text class="n0" x="10" y="{y + 13}">{expert}</text>'
            out.append(f'<g class="{expert_class(expert, self.now.n_experts)}">{plate}{numeral}</g>')
        for i, (name, values) in enumerate(self.columns):
            x = right + COLUMN * (i + 1) - 8
            out.append(f'<text class="d count" x="{x:.1f}" y="{TOP - 6}">{name}</text>')
            out += [
                f'<text class="count" x="{x:.1f}" y="{TOP + ROW * e + 13}">{n}</text>' for e, n in enumerate(values)
            ]
        return "".join(out)

    def _line(self) -> str:
        """The line of the capacity, and what it is."""
        limit = self.now.limit
        if limit is None:
            return ""
        if limit > self.across:
            text = f"capacity {limit:,}, beyond this picture →"
            return f'<text class="d" x="{self.x(self.across):.1f}" y="12" text-anchor="end">{text}</text>'
        x = self.x(limit) - 0.5
        anchor = "start" if x < LEFT + 50 else "middle"
        return (
            f'<path class="limit" d="M{x:.1f} 18V{self.height - 4}"/>'
            f'<text x="{x:.1f}" y="12" text-anchor="{anchor}">capacity {limit:,}</text>'
        )


def table_html(now: Rooms) -> str:
    """The queues as a table, for pages that drop SVG."""
    columns = Queues(now, WIDEST).columns
    head = "".join(f"<th>{name}</th>" for name, _ in columns)
    rows = "".join(
        f"<tr><td>{badge_html(e, now.n_experts)}</td>{''.join(f'<td>{values[e]}</td>' for _, values in columns)}</tr>"
        for e in range(now.n_experts)
    )
    return f"<table><tr><th>expert</th>{head}</tr>{rows}</table>"
