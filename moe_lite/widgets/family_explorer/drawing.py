"""The family explorer as a picture: a column per expert, and in it the logit, then what each of the two rules makes of
it. The live widget shows the same elements."""

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from moe_lite.look.palette import expert_class
from moe_lite.look.svg import figure
from moe_lite.look.words import number
from moe_lite.widgets.family_explorer.view import Band, Comparison
from moe_lite.widgets.family_explorer.words import compared_name, heading, score_name, short
from moe_lite.widgets.kit.widget import badge_html

WIDEST, TWIN, NARROWEST = 812, 760, 520  # px
LEFT = 98  # px for the names of the rows
WIDE_COLUMN = 34  # px from which a column has room for a word
HEAD, LOGITS, VALUES = 26, 54, 16  # px: numbers of the experts, bars of logits, a line of values
TITLE, SCORE, BRACKET, CHOICE, WEIGHT, GAP = 26, 28, 18, 46, 34, 10  # px: of a band, from its name down
TAKEN = 54  # px between the bands
LETTERS = {".": 0.38, "−": 0.84}  # widths in parts of the size, bold, in the widest of the fonts that pages use
DIGIT = 0.7
STRIPE = 3  # px from stripe to stripe of a bias


@dataclass(frozen=True)
class FamilyDrawing:
    """Both rules above each other; logits have the fixed scale `span`, weights one scale for both."""

    now: Comparison
    span: tuple[float, float]
    width: int

    def svg(self, label: str) -> str:
        """The figure, with `label` as its text alternative.

        Elements with one parent differ in the first word of `class` or in `data-expert`: the script finds them by it.
        """
        first = HEAD + LOGITS + VALUES + GAP
        between = first + self.height(self.now.left)
        second = between + TAKEN
        height = second + self.height(self.now.right)
        body = self._head() + self._logits() + self._band("first", self.now.left, first)
        body += self._taken(between) + self._band("second", self.now.right, second)
        return figure(body, self.width, height, label, "families" if self.roomy else "families tight")

    @staticmethod
    def height(band: Band) -> int:
        """px of a band: one with groups has brackets over the row of what is compared."""
        return TITLE + SCORE + GAP + (BRACKET if band.worth else 0) + CHOICE + VALUES + GAP + WEIGHT + VALUES + 6

    # ---- columns

    @cached_property
    def column(self) -> float:
        """px"""
        return (self.width - LEFT) / self.now.n_experts

    @cached_property
    def bar(self) -> float:
        """px"""
        return min(24.0, 0.62 * self.column)

    def x(self, expert: int) -> float:
        """The middle of a column."""
        return LEFT + (expert + 0.5) * self.column

    def fitted(self, value: float, most: int = 2) -> str:
        """A value with as many of `most` decimals as its column has room for; "" if there is none at all."""
        texts = [number(value, digits) for digits in range(most, -1, -1)]
        return next((text for text in texts if self.long(text) <= self.column), "")

    @property
    def roomy(self) -> bool:
        return self.column >= WIDE_COLUMN

    def long(self, text: str) -> float:
        """px of a value; in narrow columns it is small, and nowhere bold."""
        size = 11 if self.roomy else 0.92 * 10
        return size * sum(LETTERS.get(letter, DIGIT) for letter in text)

    # ---- what both rules share

    def _head(self) -> str:
        name = '<text class="name d" x="0" y="14">expert</text>'
        badges = "".join(self._column(e, self._badge(e, 2)) for e in range(self.now.n_experts))
        return f'<g class="head">{name}{badges}</g>'

    def _badge(self, e: int, y: float) -> str:
        wide = min(20.0, self.column - 2)
        plate = f'<rect class="plate" x="{self.x(e) - wide / 2:.1f}" y="{y:g}" width="{wide:.1f}" height="16" rx="3"/>'
        return f'{plate}<text class="n0" x="{self.x(e):.1f}" y="{y + 12:g}">{e}</text>'

    def _logits(self) -> str:
        low, high = self.span
        zero = HEAD + LOGITS * high / (high - low)
        cells = ""
        for e, z in enumerate(self.now.logits):
            z_drawn = min(max(z, low), high)
            end = HEAD + LOGITS * (high - z_drawn) / (high - low)
            cells += self._column(
                e, self._bar("z", e, min(zero, end), abs(end - zero)) + self._value(e, HEAD + LOGITS + 13, z)
            )
        axis = self._axis(zero)
        return f'<g class="logits">{self._named(HEAD + 18, "logit", "for both")}{axis}{cells}</g>'

    def _taken(self, top: float) -> str:
        """Which experts are taken by both, and which by one alone."""
        now, cells = self.now, ""
        for e in range(now.n_experts):
            by = self._by(e)
            if not by:
                cells += self._column(e, f'<text class="none d mid" x="{self.x(e):.1f}" y="{top + 22:g}">{e}</text>')
                continue
            shape = f'<rect class="wash" x="{self._left(e)}" y="{top:g}" width="{self._wide}" height="{TAKEN}"/>'
            word = by if self.roomy else {"both": "↕", "↑ only": "↑", "↓ only": "↓"}[by]
            mark = f'<text class="by mid" x="{self.x(e):.1f}" y="{top + 42:g}">{word}</text>'
            cells += self._column(e, shape + self._badge(e, top + 10) + mark, on=True)
        said = {0: "all by both"}.get(len(now.left_only), "")
        return f'<g class="taken">{self._named(top + 22, "taken by", said)}{cells}</g>'

    def _by(self, e: int) -> str:
        now = self.now
        return "both" if e in now.both else "↑ only" if e in now.left_only else "↓ only" if e in now.right_only else ""

    # ---- one rule

    def _band(self, key: str, band: Band, top: float) -> str:
        name, when = heading(band.rule)
        at, parts = top + TITLE, []
        title = f'<text class="title" x="0" y="{top + 15:g}"><tspan class="t b">{html.escape(name)}</tspan>'
        title += f'<tspan class="when d" dx="6">{when}</tspan></text>'
        bottom = top + self.height(band) - 2
        parts.append(self._washes(band, at - 2, bottom))
        parts.append(self._scores(band, at))
        at += SCORE + GAP
        parts.append(self._choice(band, at))
        at += (BRACKET if band.worth else 0) + CHOICE + VALUES + GAP
        parts.append(self._weights(band, at))
        rule = f'<path class="rule" d="M0 {top - 0.5:g}H{self.width}"/>' if key == "first" else ""
        return f'<g class="{key} band">{rule}{title}{"".join(parts)}</g>'

    def _washes(self, band: Band, top: float, bottom: float) -> str:
        cells = "".join(
            self._column(
                e,
                f'<rect class="wash" x="{self._left(e)}" y="{top:g}" width="{self._wide}" height="{bottom - top:g}"/>',
                on=True,
            )
            for e in band.chosen
        )
        return f'<g class="washes">{cells}</g>'

    def _scores(self, band: Band, top: float) -> str:
        most = max(band.scores)
        cells = ""
        for e, score in enumerate(band.scores):
            tall = SCORE * score / most if most > 0 else 0.0
            none = band.rule.config.order == "topk_first" and e not in band.chosen
            bar = "" if none else self._bar("s", e, top + SCORE - tall, tall)
            cells += self._column(e, bar, on=e in band.chosen)
        of = " of these" if band.rule.config.order == "topk_first" else ""
        names = self._named(top + 12, "score", score_name(band) + of)
        return f'<g class="scores">{names}{self._axis(top + SCORE)}{cells}</g>'

    def _choice(self, band: Band, top: float) -> str:
        """What is compared: bars, the bias as a piece of them, the line that the last one passes."""
        top += BRACKET if band.worth else 0
        values = [*band.compared, *band.plain, 0.0]
        low, high = min(values), max(values)
        scale = CHOICE / (high - low) if high > low else 1.0

        def y(value: float) -> float:
            return top + (high - value) * scale

        cells = "".join(self._compared(band, e, y, top) for e in range(self.now.n_experts))
        cut = f'<path class="cut" d="M{LEFT} {y(band.threshold):.1f}H{self.width}"/>'
        names = self._named(top + 12, "chosen by", compared_name(band))
        names += f'<path class="sample cut" d="M0 {top + 40:g}h14"/>'
        names += f'<text class="best d" x="19" y="{top + 44:g}">top {self.now.k}</text>'
        return f'<g class="choice">{names}{self._axis(y(0))}{cells}{self._brackets(band, top)}{cut}</g>'

    def _compared(self, band: Band, e: int, y: Callable[[float], float], top: float) -> str:
        plain, value = band.plain[e], band.compared[e]
        # the part that both share, from zero, then what a bias adds or takes away
        inner = plain if abs(plain) < abs(value) and plain * value > 0 else value if plain * value > 0 else 0.0
        parts = self._bar("p", e, min(y(0), y(inner)), abs(y(inner) - y(0))) if inner else ""
        if plain != value:
            parts += self._bias(e, y(plain), y(value), added=value > plain)
        parts += f'<path class="end" d="M{self._bar_left(e)} {y(value):.1f}h{self.bar:.1f}"/>'
        closed = not band.is_open(e)
        text = self.fitted(value, apart(band.threshold, band.best_out))
        parts += self._text(e, top + CHOICE + 13, text)
        if closed and text:
            half = self.long(text) / 2
            at = top + CHOICE + 9
            parts += f'<path class="strike" d="M{self.x(e) - half:.1f} {at:g}h{2 * half:.1f}"/>'
        return self._column(e, parts, on=e in band.chosen, closed=closed)

    def _bias(self, e: int, plain: float, value: float, added: bool) -> str:
        """The piece between a value without and with its bias: striped where added, dashed where taken away."""
        top, bottom = sorted((plain, value))
        box = f'x="{self._bar_left(e)}" y="{top:.1f}" width="{self.bar:.1f}" height="{max(bottom - top, 0.5):.1f}"'
        if not added:
            return f'<rect class="less" {box}/>'
        lines, at = "", bottom - STRIPE
        while at > top:
            lines += f"M{self._bar_left(e)} {at:.1f}h{self.bar:.1f}"
            at -= STRIPE
        stripes = f'<path class="stripes" d="{lines}"/>' if lines else ""
        return f'<rect class="more" {box}/>{stripes}'

    def _brackets(self, band: Band, top: float) -> str:
        """Groups over the row: their borders, what each is worth, and whether it is open."""
        if not band.worth:
            return ""
        size, out = self.now.n_experts // len(band.worth), []
        lowest = min(band.worth[g] for g in band.open_groups)
        digits = apart(lowest, max((v for g, v in enumerate(band.worth) if g not in band.open_groups), default=None))
        for g, worth in enumerate(band.worth):
            left, right = LEFT + g * size * self.column, LEFT + (g + 1) * size * self.column
            open_ = g in band.open_groups
            line = f'<path class="edge" d="M{left + 3:.1f} {top - 3:g}v-3H{right - 3:.1f}v3"/>'
            text = f"{'open' if open_ else 'closed'} · {number(worth, digits)}"
            said = f'<text class="worth mid" x="{(left + right) / 2:.1f}" y="{top - 9:g}">{text}</text>'
            if g:
                said += f'<path class="border" d="M{left:.1f} {top - BRACKET + 2:g}V{top + CHOICE + VALUES:g}"/>'
            out.append(f'<g class="g{g} {"open" if open_ else "shut"}">{line}{said}</g>')
        return f'<g class="groups">{"".join(out)}</g>'

    def _weights(self, band: Band, top: float) -> str:
        most = max(*self.now.left.weights, *self.now.right.weights)
        cells = ""
        for e in band.chosen:
            tall = WEIGHT * band.weights[e] / most if most > 0 else 0.0
            bar = self._bar("w", e, top + WEIGHT - tall, tall)
            cells += self._column(e, bar + self._value(e, top + WEIGHT + 13, band.weights[e]), on=True)
        where = " on input" if band.rule.config.gate_on == "input" else ""
        names = self._named(top + 16, f"weight{where}", "")
        names += f'<text class="sum" x="0" y="{top + WEIGHT + 13:g}">sum {number(band.total)}</text>'
        return f'<g class="weights">{names}{self._axis(top + WEIGHT)}{cells}</g>'

    # ---- pieces

    def _column(self, e: int, inside: str, on: bool = False, closed: bool = False) -> str:
        look = expert_class(e, self.now.n_experts) + " on" * on + " shut" * closed
        return f'<g class="{look}" data-expert="{e}">{inside}</g>'

    def _bar_left(self, e: int) -> str:
        return f"{self.x(e) - self.bar / 2:.1f}"

    def _left(self, e: int) -> str:
        return f"{self.x(e) - self.column / 2 + 1:.1f}"

    @property
    def _wide(self) -> str:
        return f"{self.column - 2:.1f}"

    def _bar(self, name: str, e: int, y: float, tall: float) -> str:
        """A bar of at least 1 px: what prints 0.00 is not zero."""
        box = f'x="{self._bar_left(e)}" y="{y:.1f}" width="{self.bar:.1f}" height="{max(tall, 1):.1f}"'
        return f'<rect class="{name} beam" {box}/>'

    def _value(self, e: int, y: float, value: float) -> str:
        return self._text(e, y, self.fitted(value))

    def _text(self, e: int, y: float, text: str) -> str:
        return f'<text class="val mid" x="{self.x(e):.1f}" y="{y:g}">{text}</text>' if text else ""

    def _axis(self, y: float) -> str:
        return f'<path class="axis ax" d="M{LEFT} {y:.1f}H{self.width}"/>'

    @staticmethod
    def _named(y: float, name: str, more: str) -> str:
        second = f'<text class="more d" x="0" y="{y + 15:g}">{more}</text>' if more else ""
        return f'<text class="name" x="0" y="{y:g}">{name}</text>{second}'


def apart(passed: float, out: float | None) -> int:
    """2 decimals, or 3 where the last that passed and the first that did not would print the same."""
    return 3 if out is not None and passed != out and number(passed) == number(out) else 2


# ---- for pages without SVG, and under the figure ---------------------------------------------------------------------


def table_html(now: Comparison) -> str:
    """The same numbers as a table, for pages that cannot show SVG."""
    names = [html.escape(short(band.rule.name)) for band in now.bands]
    heads = ["expert", "logit"]
    for name, band in zip(names, now.bands, strict=True):
        heads += [f"{name}: score", f"chosen by {compared_name(band)}", "weight"]
    rows = ""
    for e, z in enumerate(now.logits):
        cells = [badge_html(e, now.n_experts), number(z)]
        for band in now.bands:
            compared = number(band.compared[e])
            cells += [
                number(band.scores[e]), compared if band.is_open(e) else f"<s>{compared}</s>",
                number(band.weights[e]) if e in band.chosen else "0",
            ]  # fmt: skip
        rows += f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
    return f"<table><tr>{''.join(f'<th>{text}</th>' for text in heads)}</tr>{rows}</table>"


def rules_html(rules: Sequence[Sequence]) -> str:
    """What the parts say of both rules, as the script writes it."""
    out = ""
    for name, when, rows in rules:
        head = f'<p class="whose"><b>{html.escape(name)}</b> <span class="dim">{when}</span></p>'
        texts = "".join(f'<p class="{key.split()[0]}">{html.escape(text)}</p>' for key, text in rows)
        out += f"<div>{head}{texts}</div>"
    return f'<div class="rules">{out}</div>'
