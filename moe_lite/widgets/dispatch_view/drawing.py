"""The dispatch view as a picture: SVG text. The live widget shows the same elements.

Elements with one parent differ in the first word of `class` or in `data-expert`: the script finds them by it, so that
what moves slides to its new place.
"""

import html
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from moe_lite.look import palette
from moe_lite.look.svg import figure
from moe_lite.widgets.dispatch_view.layout import (
    BACK,
    BOX,
    CELL,
    HEIGHT,
    LAST,
    SLICES,
    TOKENS,
    Look,
    Places,
    lit_returns,
    lit_rows,
    returns,
    shown_rows,
)
from moe_lite.widgets.dispatch_view.view import CodeLine, Dispatch
from moe_lite.widgets.dispatch_view.words import low, sum_text
from moe_lite.widgets.kit.widget import badge_html


def slices_html(now: Dispatch) -> str:
    """One line an expert: the tokens of its slice, and how many they are."""
    rows = ""
    for e, count in enumerate(now.counts):
        tokens = ", ".join(str(now.tokens[i]) for i, slice_ in enumerate(now.slices) if slice_ == e)
        rows += f"<tr><td>{badge_html(e, now.choices.n_experts)}</td><td>{tokens or '–'}</td><td>{count}</td></tr>"
    return f"<table><tr><th>expert</th><th>tokens in its slice</th><th>rows</th></tr>{rows}</table>"


def arrays_html(lines: list[CodeLine]) -> str:
    body = ""
    for line in lines:
        values = " ".join(f'<span class="{kind}">{text}</span>' if kind else text for text, kind in line.entries)
        body += f"<dt>{line.name}</dt><dd>{values}</dd>"
    return f'<dl class="arrays">{body}</dl>'


def table_html(rows: list[list[str]], chosen: int) -> str:
    """`chosen`: the row, from 0 below the head, that the picture shows."""
    head = "".join(f'<th scope="col">{html.escape(text)}</th>' for text in rows[0])
    body = ""
    for i, (way, *cells) in enumerate(rows[1:]):
        cells_html = "".join(f"<td>{cell}</td>" for cell in cells)
        body += f'<tr{" class=on" if i == chosen else ""}><th scope="row">{way}</th>{cells_html}</tr>'
    return f'<table class="ops"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


TURNED = 16  # px: narrower rows have their number on its side
NARROWEST_NAMED = 8.5  # px: narrower ones have none
FRAME = 1  # px from a row's edge to its number's frame


@dataclass(frozen=True)
class DispatchDrawing:
    """A dispatch under one look, `width` px wide. `live`: tokens and slices can be reached by Tab and arrows."""

    now: Dispatch
    look: Look
    width: int
    live: bool = False

    def svg(self, label: str) -> str:
        """The picture, with `label` as its text alternative."""
        parts = [
            ("heads", self._heads()),
            ("up", "".join(self._up(i) for i in range(len(self.now.order)))),
            ("down", "".join(self._down(n, i) for n, i in returns(self.now))),
            ("ink", self._ink()),
            ("tops", "".join(self._token(n, TOKENS) for n in range(self.now.n_tokens))),
            ("slots", "".join(self._slice(e) for e in range(self.now.choices.n_experts))),
            ("cells", self._cells()),
            ("backs", "".join(self._token(n, BACK) for n in range(self.now.n_tokens))),
            ("total", self._sum()),
        ]
        groups = "".join(f'<g class="{name}">{inner}</g>' for name, inner in parts)
        role = "group" if self.live else "img"
        picked = " picking" if self.look.way == "sorted" and self.look.picked >= 0 else ""
        return figure(groups, self.width, HEIGHT, label, f"flow {self.look.way}{picked}", role)

    @cached_property
    def places(self) -> Places:
        return Places(self.now, self.width)

    @cached_property
    def shown(self) -> frozenset[int]:
        return shown_rows(self.now, self.look)

    @cached_property
    def lit(self) -> frozenset[int]:
        return lit_rows(self.now, self.look)

    # ---- labels ----------------------------------------------------------------------------------------------------

    def _heads(self) -> str:
        rows = [("h1", TOKENS + 13, "tokens", "(N, D)"), ("h3", BACK + 13, "put back", "(N, D)")]
        if self.look.stage == 1:
            rows.append(("h2", TOKENS + 50, "expert_ids", "(N, K)"))
        elif self.look.way == "loop":
            rows.append(("h2", SLICES + 13, "found", "(n, D)"))
        else:
            rows.append(("h2", SLICES + 13, "sorted", "(N·K, D)"))
        return "".join(
            f'<g class="{name}"><text class="b" y="{y}">{text}</text>'
            f'<text class="shape" y="{y + 15}">{shape}</text></g>'
            for name, y, text, shape in rows
        )

    def _sum(self) -> str:
        if self.look.stage < LAST or not (self.look.by_token or self.look.way == "loop"):
            return ""
        text = sum_text(self.now, self.look)
        half = 3.4 * len(text)
        x = min(max(self.places.token_x(self.look.token), half), self.width - half)
        return f'<text class="sum b" x="{x:.1f}" y="{HEIGHT - 12}">{html.escape(text)}</text>'

    # ---- lines -----------------------------------------------------------------------------------------------------

    def _up(self, i: int) -> str:
        """From a token to a row; before the row is sorted, a point at the token that the line grows from."""
        place = self.now.order[i]
        begin = self.places.choice_x(self.now.tokens[i], place % self.now.choices.k), TOKENS + BOX
        end = (self.places.row_x(i), SLICES) if i in self.shown else begin
        return self._line(f"u{i}", self.now.owners[i], begin, end)

    def _down(self, n: int, i: int) -> str:
        """From a row to the token that receives its answer; before that, a point at the row."""
        begin = self.places.row_x(i), SLICES + BOX + 2
        shown = self.look.stage == LAST and i in self.shown
        return self._line(f"d{n}r{i}", self.now.slices[i], begin, (self._back_x(n, i), BACK) if shown else begin)

    def _back_x(self, n: int, i: int) -> float:
        return self.places.choice_x(n, self.now.order[i] % self.now.choices.k)

    def _ink(self) -> str:
        """What is in focus, once more in full ink, above all other lines."""
        lines = [self._up(i) for i in sorted(self.lit & self.shown)]
        if self.look.stage == LAST:
            lines += [self._down(n, i) for n, i in sorted(lit_returns(self.now, self.look)) if i in self.shown]
        return "".join(lines)

    def _line(self, key: str, expert: int, begin: tuple[float, float], end: tuple[float, float]) -> str:
        (x, y), (x1, y1) = begin, end
        middle = (y + y1) / 2
        path = f"M{x:.1f} {y}C{x:.1f} {middle} {x1:.1f} {middle} {x1:.1f} {y1}"
        return f'<path class="{key} {self._hue(expert)}" d="{path}"/>'

    # ---- tokens ----------------------------------------------------------------------------------------------------

    def _token(self, n: int, y: int) -> str:
        """A token's box, above or below; below it is empty until something is put back."""
        p, name = self.places, self.now.choices.names[n]
        x, above = p.token_x(n), y == TOKENS
        focus = " on" if n == self.look.token and (self.look.by_token or self.look.way == "loop") else ""
        full = above or self.look.stage == LAST
        size = " small" if p.small else ""
        text = f'<text class="name{size}" x="{x:.1f}" y="{y + 18}">{html.escape(_short(name, p.letters()))}</text>'
        number = f'<text class="nr d" x="{x:.1f}" y="{y - 6}">{n}</text>'
        return (
            f'<g class="t{n} token{focus}{"" if full else " ghost"}" data-token="{n}"{self._reach(n, above)}>'
            f'<title class="ti">{html.escape(f"token {n}: {name}")}</title>'
            f'<rect class="box" x="{x - p.box / 2:.1f}" y="{y}" width="{p.box:.1f}" height="{BOX}" rx="3"/>'
            f"{text if full else ''}{number if above else ''}</g>"
        )

    def _reach(self, n: int, above: bool) -> str:
        if not (self.live and above):
            return ""
        at = n == self.look.token
        pressed = at and self.look.by_token
        name = html.escape(f"token {n}, {self.now.choices.names[n]}")
        return f' role="button" tabindex="{0 if at else -1}" aria-pressed="{str(pressed).lower()}" aria-label="{name}"'

    # ---- slices ----------------------------------------------------------------------------------------------------

    def _slice(self, e: int) -> str:
        look, (x, width), count = self.look, self.places.slices[e], self.now.counts[e]
        middle, empty = x + width / 2, count == 0
        waits = look.stage == 1 or (look.way == "loop" and e != look.turn)
        parts = [
            f'<rect class="hit" x="{x:.1f}" y="{SLICES - 24}" width="{width:.1f}" height="{BOX + 44}"/>',
            f'<rect class="badge" x="{middle - 9:.1f}" y="{SLICES - 22}" width="18" height="16" rx="3"/>',
            f'<text class="n0" x="{middle:.1f}" y="{SLICES - 10}">{e}</text>',
        ]
        if empty or waits:
            kind = "none" if empty else "wait"
            parts.append(
                f'<rect class="slot {kind}" x="{x + 0.5:.1f}" y="{SLICES}" width="{width - 1:.1f}" height="{BOX}"/>'
            )
        else:
            parts.append(f'<path class="base" d="M{x:.1f} {SLICES + BOX + 1}h{width:.1f}"/>')
        if not empty and not waits and look.stage == 3:
            parts.append(f'<text class="fn b" x="{middle:.1f}" y="{SLICES + BOX + 34}">f{low(e)}</text>')
            box = f'x="{x - 2:.1f}" y="{SLICES - 2}" width="{width + 4:.1f}" height="{BOX + 4}"'
            parts.append(f'<rect class="call" {box} rx="3"/>')
        if look.stage > 1:
            parts.append(f'<text class="count d" x="{middle:.1f}" y="{SLICES + BOX + 16}">{count}</text>')
        chosen = e == (look.turn if look.way == "loop" else look.picked)
        return f'<g class="slice {self._hue(e)}" data-expert="{e}"{self._pick(e, chosen)}>{"".join(parts)}</g>'

    def _pick(self, e: int, chosen: bool) -> str:
        if not self.live:
            return ""
        at = e == self.look.turn
        name = f"slice of expert {e}, {self.now.counts[e]} rows"
        return f' role="button" tabindex="{0 if at else -1}" aria-pressed="{str(chosen).lower()}" aria-label="{name}"'

    # ---- rows ------------------------------------------------------------------------------------------------------

    def _cells(self) -> str:
        """One cell a row: in its slice once it is shown there, before that beneath its token."""
        cells, seen = [], Counter()
        for i, place in enumerate(self.now.order):
            times, seen[place] = seen[place], seen[place] + 1
            key = f"r{place}x{times}" if times else f"r{place}"
            if i in self.shown:
                cells.append(self._row(i, key))
            elif not times:
                cells.append(self._choice(place, key))
        return "".join([*cells, *(self._choice(place, f"r{place}") for place in self.now.missing)])

    def _choice(self, place: int, key: str) -> str:
        """A choice that stands beneath its token, named by its expert."""
        p, (n, j), expert = self.places, divmod(place, self.now.choices.k), self.now.choices.experts[place]
        never = self.look.stage > 1 and place in self.now.missing
        sorts = "bad" if never else "rest" if self.look.stage > 1 else ""
        text = f'<text class="n0" y="4">{expert}</text>'
        return self._cell(
            f"{key} cell {sorts}", expert, p.token_x(n), p.stack_y(j), min(p.box, 30), CELL, text, f' data-token="{n}"'
        )

    def _row(self, i: int, key: str) -> str:
        """A row in its slice, named by its token; framed where it does not belong."""
        p, now, place = self.places, self.now, self.now.order[i]
        wrong = place in now.doubled or i in now.strays
        lit = i in self.lit and self.look.by_token
        sorts = ("bad " if wrong else "") + ("lit" if lit else "")
        turned = ' transform="rotate(-90)"' if p.row < TURNED else ""
        text = f'<text class="tn" y="4"{turned}>{now.tokens[i]}</text>' if p.row >= NARROWEST_NAMED else ""
        if i in now.dropped:
            text += f'<path class="strike" d="M{-p.row / 2 + 2:.1f} {BOX / 2 - 2}L{p.row / 2 - 2:.1f} {2 - BOX / 2}"/>'
        title = f"row {i}: token {now.tokens[i]}, expert {now.owners[i]}, place {place}"
        text = f'<title class="ti">{title}</title>{text}'
        data = f' data-row="{i}" data-slice="{now.slices[i]}"'
        y = SLICES + BOX / 2
        return self._cell(f"{key} cell {sorts}", now.owners[i], p.row_x(i), y, p.row - 1, BOX, text, data)

    def _cell(
        self, name: str, expert: int, x: float, y: float, width: float, height: float, text: str, data: str = ""
    ) -> str:
        inset = FRAME if "bad" in name or "lit" in name else 0
        return (
            f'<g class="{name.strip()} {self._hue(expert)}"{data} transform="translate({x:.1f} {y:.1f})">'
            f'<rect class="skin" x="{inset - width / 2:.1f}" y="{inset - height / 2:.1f}" '
            f'width="{width - 2 * inset:.1f}" height="{height - 2 * inset:.1f}"/>{text}</g>'
        )

    def _hue(self, expert: int) -> str:
        return palette.expert_class(expert, self.now.choices.n_experts)


def _short(name: str, most: int) -> str:
    name = name.replace("\n", "")
    return name if len(name) <= most else f"{name[: max(most - 1, 1)]}…"
