"""The router stepper as a picture: one step as SVG text. The live widget shows the same elements."""

import html
import math
from dataclasses import dataclass

from moe_lite.look import palette
from moe_lite.look.svg import figure
from moe_lite.look.words import number
from moe_lite.widgets.router_stepper.view import RULES, Step
from moe_lite.widgets.router_stepper.words import SAME, ordinal, parting_digits

ROW = 26  # height of an expert's row
TOP = 46  # where the first row begins
FOOT = 42  # height of the sums under the last row


WIDEST, NARROWEST = 812, 520  # px that the figure is drawn for


@dataclass(frozen=True)
class Columns:
    """Where things stand, in px. Values are right-aligned at their x; score and weight bars have one scale."""

    width: int
    logits: int
    logits_width: int
    logit_value: int
    scores: int
    unit: int  # length of a score or weight of 1
    score_value: int
    pill: int
    weights: int
    weight_value: int

    @property
    def roomy(self) -> bool:
        return self.width >= 700


def columns_for(width: int) -> Columns:
    """The columns of a figure of `width` px, which bars share out; text keeps its size."""
    width = min(max(NARROWEST, width), WIDEST)
    bars = width - 342  # badge, values, pill and the gaps between
    unit = round(bars * 0.362)
    length = bars - 2 * unit
    places = (36, length, 84 + length, 120 + length, unit, 160 + length + unit, 196 + length + unit)
    weights = 294 + length + unit
    return Columns(width, *places, weights, weights + unit + 40)


@dataclass(frozen=True)
class StepperDrawing:
    """A step, with ticks at the values of `before`. Logits have the fixed scale `span`, scores and weights 0 to 1."""

    step: Step
    before: Step | None
    span: tuple[float, float]
    columns: Columns
    source: str = "z = x @ W_r"  # where the logits come from, as code

    def svg(self, label: str) -> str:
        """The figure, with `label` as its text alternative.

        Elements with one parent differ in the first word of `class` or in `data-expert`: the script finds them by it.
        """
        n, c = self.step.n_experts, self.columns
        height = TOP + ROW * n + FOOT
        rows = "".join(self._row(e) for e in range(n))
        return figure(f"{self._heads()}{self._axes()}{rows}{self._foot()}", c.width, height, label, "step")

    def logit_x(self, value: float) -> float:
        """Where a logit's bar ends; outside of the scale, at its edge."""
        low, high = self.span
        share = (min(max(value, low), high) - low) / (high - low)
        return self.columns.logits + share * self.columns.logits_width

    def score_x(self, value: float) -> float:
        return self.columns.scores + self.columns.unit * value

    def weight_x(self, value: float) -> float:
        return self.columns.weights + self.columns.unit * min(value, 1)  # a learner's weights may be larger

    # ---- what all rows share ---------------------------------------------------------------------------------------

    def _heads(self) -> str:
        step, c = self.step, self.columns
        score = f"{RULES[step.rule].score}({'z of chosen' if self._logits_decide and c.roomy else 'z'} / T)"
        weight = "s / sum of chosen" if step.renorm and not self._logits_decide else "s of chosen"
        order = "stable order"
        if step.chooser:
            order, weight = _short(step.chooser, 12), f"by {_short(step.chooser, 20)}"
        heads = [
            ("hz", c.logits, "logits", self.source),
            ("hs", c.scores, "scores", score),
            ("hk", c.pill, f"top {step.k}", order),
            ("hw", c.weights, "weights", weight),
        ]
        return "".join(
            f'<g class="{name}"><text class="t" x="{x}" y="14">{title}</text>'
            f'<text class="f" x="{x}" y="31">{html.escape(code)}</text></g>'
            for name, x, title, code in heads
        )

    def _axes(self) -> str:
        low, high = TOP, TOP + ROW * self.step.n_experts
        places = {"az": self.logit_x(0), "as": self.columns.scores, "aw": self.columns.weights}
        lines = [f'<path class="{name} ax" d="M{x - 0.5:.1f} {low}V{high}"/>' for name, x in places.items()]
        if self.step.threshold is not None:
            lines.append(f'<path class="cut" transform="translate({self._cut():.1f})" d="M0 {low}V{high}"/>')
        return "".join(lines)

    def _foot(self) -> str:
        step, c, parts = self.step, self.columns, []
        if step.threshold is not None:
            which = "best" if step.k == 1 else f"{ordinal(step.k)} best"
            left = self._cut() < c.width / 2
            place = f'x="{self._cut() + 4:.1f}"' if left else f'x="{self._cut() - 4:.1f}" text-anchor="end"'
            parts.append(f'<text class="c d" {place} y="12">the {which} passes</text>')
        if not step.stopped:
            parts += [
                f'<text class="fs d" x="{c.scores}" y="32">sum {number(sum(step.scores))}</text>',
                f'<text class="fk d" x="{c.pill}" y="32">kept {number(step.kept)}</text>',
                f'<text class="fw" x="{c.weights}" y="32">sum {number(sum(step.weights))}</text>',
            ]
        if self.before is not None:
            parts.append(f'<rect class="was" x="{c.logits}" y="23" width="1.5" height="11"/>')
            parts.append(f'<text class="fz d" x="{c.logits + 7}" y="32">before the move</text>')
        return f'<g class="foot" transform="translate(0 {TOP + ROW * step.n_experts})">{"".join(parts)}</g>'

    @property
    def _logits_decide(self) -> bool:
        return self.step.rule == "topk"

    def _cut(self) -> float:
        place = self.logit_x if self._logits_decide else self.score_x
        return place(self.step.threshold)

    # ---- one row ---------------------------------------------------------------------------------------------------

    def _row(self, e: int) -> str:
        step = self.step
        name = f"row {palette.expert_class(e, step.n_experts)}{' on' if e in step.chosen else ''}"
        parts = [
            f'<rect class="hit" width="{self.columns.width}" height="{ROW}"/>',
            f'<rect class="tint" x="1" y="5" width="20" height="16" rx="3"/><text class="n0" x="11" y="17">{e}</text>',
            self._logit(e),
        ]
        if not step.stopped:
            parts += [self._score(e), self._pick(e), self._weight(e)]
        return (
            f'<g class="{name}" data-expert="{e}" data-weight="{step.weights[e]:.6g}" '
            f'transform="translate(0 {TOP + ROW * e})">{"".join(parts)}</g>'
        )

    def _logit(self, e: int) -> str:
        z, c = self.step.logits[e], self.columns
        if math.isnan(z):
            return f'<text class="tz bad" x="{c.logit_value}" y="17">not a number</text>'
        zero, end = self.logit_x(0), self.logit_x(z)
        value = number(z, self._digits() if self._logits_decide else 2)
        return (
            _bar("z", min(zero, end), abs(end - zero))
            + self._tick("z", self.logit_x, "logits", e)
            + _value("tz", c.logit_value, value, self._tie(e) if self._logits_decide else "")
        )

    def _score(self, e: int) -> str:
        c, score = self.columns, self.step.scores[e]
        tie, tie_before = ("", self._tie(e)) if self._logits_decide else (self._tie(e), "")
        begin = c.logit_value + (38 if tie_before else 6)
        if self._logits_decide and e not in self.step.chosen:  # out before it could get a score
            x = c.scores + 8 if tie_before else c.scores - 14
            return _link("l1", begin, x) + _cross(x) + _value("ts", c.score_value, "0", "")
        value = number(score, 2 if self._logits_decide else self._digits())
        return (
            _link("l1", begin, c.scores - 4)
            + _bar("sc", c.scores, self.score_x(score) - c.scores)
            + self._tick("s", self.score_x, "scores", e)
            + _value("ts", c.score_value, value, tie)
        )

    def _pick(self, e: int) -> str:
        c, tie = self.columns, "" if self._logits_decide else self._tie(e)
        begin = c.score_value + (38 if tie else 6)
        if e in self.step.chosen:
            rank = ordinal(self.step.chosen.index(e) + 1)
            return (
                f'{_link("l2", begin, c.pill)}<rect class="pill" x="{c.pill}" y="4" width="44" height="18" rx="9"/>'
                f'<text class="rank" x="{c.pill + 22}" y="17">{rank}</text>{_link("l3", c.pill + 44, c.weights - 4)}'
            )
        if self._logits_decide:
            return ""
        x = c.pill + 8 if tie else c.pill - 14
        return _link("l2", begin, x) + _cross(x)

    def _weight(self, e: int) -> str:
        c, weight, chosen = self.columns, self.step.weights[e], e in self.step.chosen
        bar = _bar("w", c.weights, self.weight_x(weight) - c.weights) if chosen else ""
        return (
            bar
            + self._tick("w", self.weight_x, "weights", e)
            + _value("tw", c.weight_value, number(weight) if chosen else "0", "")
        )

    def _tick(self, name: str, place, values: str, e: int) -> str:
        """Where the bar ended before the move, if it has moved."""
        if self.before is None or e >= self.before.n_experts:
            return ""
        was, now = getattr(self.before, values)[e], getattr(self.step, values)[e]
        if math.isnan(was) or abs(was - now) < SAME:
            return ""
        return f'<rect class="w{name} was" x="{place(was) - 0.75:.1f}" y="4" width="1.5" height="18"/>'

    def _tie(self, e: int) -> str:
        passed, out = self.step.tied
        return "= in" if e in passed else "= out" if e in out else ""

    def _digits(self) -> int:
        """Decimals of the compared values: enough to tell the last that passed from the first that did not."""
        step = self.step
        if step.threshold is None:
            return 2
        border = min(step.compared[e] for e in step.chosen)
        out = max(value for e, value in enumerate(step.compared) if e not in step.chosen)
        return parting_digits(border, out, most=4)


def _bar(name: str, x: float, width: float) -> str:
    """A bar of at least 1 px: a small score prints 0.00 and is not zero."""
    return f'<rect class="{name} beam" x="{x:.1f}" y="6" width="{max(width, 1):.1f}" height="14"/>'


def _value(name: str, x: int, text: str, tie: str) -> str:
    mark = f'<text class="{name}e tie" x="{x + 5}" y="17">{tie}</text>' if tie else ""
    return f'<text class="{name} val" x="{x}" y="17">{text}</text>{mark}'


def _link(name: str, begin: float, end: float) -> str:
    return f'<path class="{name}" d="M{begin} 13H{end}"/>' if end > begin else ""


def _cross(x: float) -> str:
    return f'<path class="x" d="M{x} 9l8 8m0 -8l-8 8"/>'


def _short(name: str, most: int) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"
