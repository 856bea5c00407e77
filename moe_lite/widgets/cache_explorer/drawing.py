"""The cache explorer's upper figures: the strip of one layer's experts, step by step, and what other rules and other
room would have loaded."""

import html
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from moe_lite.look import palette
from moe_lite.look.svg import figure
from moe_lite.widgets.cache_explorer.view import RULES, Moment, Setting, Written
from moe_lite.widgets.cache_explorer.words import MARKS, with_rule
from moe_lite.widgets.kit.text import Face

WIDEST, TWIN, NARROWEST = 812, 760, 460  # px
BADGE, PROMPT, BESIDE = 30, 36, 8  # px: of the experts' numbers, of the prompt's column, between it and the others
WIDE, NAMED = 22, 12  # px of a column at most; at least, where tokens stand under it
TOP, FOOT, LETTERS, SMALL_FOOT = 20, 76, 9, 64
ROWS = {8: 20, 16: 16, 32: 13}  # px of a row, by experts
GAP = 2  # px between rows
RULE_ROW, RULE_NAME, CHART, SIDE_BY_SIDE = 22, 124, 104, 640


def box(x: float, y: float, wide: float, tall: float) -> str:
    """A rectangle as a part of a path."""
    return f"M{x:.1f} {y:.1f}h{wide:.1f}v{tall:.1f}h{-wide:.1f}z"


@dataclass(frozen=True)
class Strip:
    """One row per expert, one column per step: the prompt's, then one per new token."""

    setting: Setting
    written: Written
    width: int

    def svg(self, label: str) -> str:
        rows = "".join(map(self._row, range(self.setting.n_experts)))
        at = f'<rect class="at off" x="0" y="{TOP - 3}" width="{self.column:.1f}" height="{self.tall + 4}"/>'
        return figure(self._head() + rows + self._foot() + at, self.width, self.height, label, "strip")

    def places(self) -> dict[str, float]:
        """Where the script finds the columns, in px of the figure."""
        return {"figure": self.width, "left": BADGE, "prompt": PROMPT, "first": self.first, "column": self.column,
                "steps": len(self.moments)}  # fmt: skip

    @cached_property
    def moments(self) -> list[Moment]:
        setting = self.setting
        return self.written.moments(setting.layer, setting.rule, setting.slots)

    # ---- places

    @property
    def first(self) -> float:
        """px where the new tokens begin"""
        return BADGE + PROMPT + BESIDE

    @property
    def column(self) -> float:
        return min(WIDE, (self.width - self.first - 2) / self.written.new)

    @property
    def row(self) -> int:
        return ROWS[self.setting.n_experts]

    @property
    def tall(self) -> int:
        return self.row * self.setting.n_experts

    @property
    def named(self) -> bool:
        """Whether there is room for the tokens under their columns."""
        return self.column >= NAMED

    @property
    def height(self) -> int:
        return TOP + self.tall + (FOOT if self.named else SMALL_FOOT)

    def span(self, step: int) -> tuple[float, float]:
        """px from and to of a column, with what is left free between columns."""
        if step == 0:
            return BADGE, BADGE + PROMPT
        x = self.first + (step - 1) * self.column
        return x, x + self.column - (1.5 if self.column >= 6 else 0.8)

    # ---- parts

    def _head(self) -> str:
        one = f"experts of layer {self.setting.layer}, with room for {self.setting.slots}"
        return f'<text class="d" x="0" y="11">{one}: a column for the prompt, then one per new token</text>'

    def _row(self, expert: int) -> str:
        n, y, tall = self.setting.n_experts, TOP + expert * self.row, self.row - GAP
        steps = range(len(self.moments))
        used = {step for step in steps if expert in self.moments[step].needed}
        loaded = {step for step in steps if any(expert == came for came, _ in self.moments[step].loaded)}
        held = (step for step in steps if expert in self.moments[step].resident)
        parts = [f'<rect class="bd" x="0" y="{y}" width="22" height="{tall}" rx="3"/>']
        parts.append(f'<text class="n0" x="11" y="{y + tall / 2 + 4:.1f}">{expert}</text>')
        end = self.span(len(self.moments) - 1)[1]
        parts.append(f'<path class="none" d="M{BADGE} {y + tall + GAP / 2:.1f}H{end:.1f}"/>')
        boxes = "".join(self._box(first, last, y, tall) for first, last in runs(held))
        parts.append(f'<path class="in" d="{boxes}"/>')
        parts.append(f'<path class="use" d="{"".join(self._box(step, step, y, tall) for step in sorted(used))}"/>')
        parts.append(f'<path class="load" d="{"".join(self._mark(step, y, tall) for step in sorted(loaded))}"/>')
        look = palette.expert_class(expert, n)
        return f'<g class="x{expert} {look}">{"".join(parts)}</g>'

    def _box(self, first: int, last: int, y: float, tall: float) -> str:
        x = self.span(first)[0]
        return box(x, y, self.span(last)[1] - x, tall)

    def _mark(self, step: int, y: float, tall: float) -> str:
        """A dot in the middle of a cell."""
        left, right = self.span(step)
        r = min(3.4, (right - left) / 2 - 0.9, tall / 2 - 2)
        half = f"a{r:.1f} {r:.1f} 0 1 0"
        return f"M{(left + right) / 2 - r:.1f} {y + tall / 2:.1f}{half} {2 * r:.1f} 0{half} {-2 * r:.1f} 0z"

    def _foot(self) -> str:
        y = TOP + self.tall + 5
        n = self.written.n_prompt
        out = [upright(BADGE + 13, y, "prompt:", "d"), upright(BADGE + 27, y, f"{n} token{'s' * (n > 1)}", "d")]
        for i, face in enumerate(self.written.faces, start=1):
            middle = sum(self.span(i)) / 2
            if self.named:
                out.append(upright(middle + 4, y, shown(face), "tok"))
            elif i % 10 == 0:
                out.append(f'<path class="ax" d="M{middle:.1f} {y - 3}v4"/>')
                out.append(f'<text class="d mid" x="{middle:.1f}" y="{y + 13}">{i}</text>')
        if not self.named:
            out.append(f'<text class="d" x="{self.first}" y="{y + 32}">new tokens; their texts do not fit here</text>')
        return "".join(out)


def runs(steps: Iterable[int]) -> list[tuple[int, int]]:
    """Neighbours together: 1, 2, 3, 7 -> (1, 3), (7, 7). The prompt, step 0, stands alone."""
    found: list[tuple[int, int]] = []
    for step in steps:
        if found and found[-1][1] == step - 1 and step > 1:
            found[-1] = (found[-1][0], step)
        else:
            found.append((step, step))
    return found


def upright(x: float, y: float, text: str, look: str) -> str:
    """Text that ends at a point and is read upwards."""
    return f'<text class="{look} end" transform="translate({x:.1f} {y}) rotate(-90)">{html.escape(text)}</text>'


def shown(face: Face) -> str:
    text = face.text.replace("\n", "")
    return text if len(text) <= LETTERS else f"{text[: LETTERS - 1]}…"


def legend_html() -> str:
    """What a cell of the strip may be."""
    inside = {
        "in": '<path class="in" d="M1 1h13v11h-13z"/>',
        "use": '<path class="use" d="M1 1h13v11h-13z"/>',
        "load": '<path class="use" d="M1 1h13v11h-13z"/><circle class="load" cx="7.5" cy="6.5" r="3.4"/>',
    }
    box = 'class="strip sw e3" width="15" height="13" viewBox="0 0 15 13" aria-hidden="true"'
    return legend((f"<svg {box}>{inside[kind]}</svg>", words) for kind, words in MARKS.items())


def legend(entries: Iterable[tuple[str, str]]) -> str:
    return f'<p class="legend">{" ".join(f"<span>{sign}{html.escape(words)}</span>" for sign, words in entries)}</p>'


# ---- other rules, other room -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Charts:
    """Experts loaded while writing: by rule with this room, and by room with this rule."""

    setting: Setting
    written: Written
    width: int

    def svg(self, label: str) -> str:
        beside = self.width >= SIDE_BY_SIDE
        wide = self.width * 0.46 if beside else self.width
        tall = 20 + RULE_ROW * len(RULES)
        left, top = (self.width * 0.54, 0) if beside else (0, tall + 16)
        height = max(tall, CHART + 60) if beside else top + CHART + 60
        room = f'<g transform="translate({left:.1f} {top})">{self._by_room(self.width - left)}</g>'
        return figure(self._by_rule(wide) + room, self.width, height, label, "charts")

    def loads(self, rule: str | None = None, slots: int | None = None) -> int:
        return self.written.loads(self.setting.layer, rule or self.setting.rule, slots or self.setting.slots)

    def _by_rule(self, width: float) -> str:
        room = width - RULE_NAME - 34
        most = max(max(map(self.loads, RULES)), 1)
        out = [f'<text class="d" x="0" y="11">loaded while writing, by rule, with room for {self.setting.slots}</text>']
        for i, (rule, name) in enumerate(RULES.items()):
            y, on, n = 20 + RULE_ROW * i, " b" if rule == self.setting.rule else "", self.loads(rule)
            wide = max(room * n / most, 1)
            out.append(f'<text class="rule{on}" x="0" y="{y + 13}">{name}</text>')
            look = "bar on" if on else "bar"
            out.append(f'<rect class="{look}" x="{RULE_NAME}" y="{y + 3}" width="{wide:.1f}" height="12"/>')
            out.append(f'<text class="value{on}" x="{RULE_NAME + wide + 6:.1f}" y="{y + 13}">{n:,}</text>')
        return "".join(out)

    def _by_room(self, width: float) -> str:
        setting, left, top = self.setting, 30, 24
        low, high = setting.top_k, setting.n_experts
        most = max(max(self.loads(slots=slots) for slots in range(low, high + 1)), 1)
        wide = width - left - 26

        def x(slots: int) -> float:
            return left + wide * (slots - low) / (high - low)

        def y(loads: int) -> float:
            return top + CHART * (1 - loads / most)

        points = " ".join(f"{x(slots):.1f},{y(self.loads(slots=slots)):.1f}" for slots in range(low, high + 1))
        here = x(setting.slots), y(self.loads())
        out = [f'<text class="d" x="0" y="11">loaded while writing, by room, {with_rule(setting.rule)}</text>']
        out.append(f'<path class="ax" d="M{left} {top + CHART}h{wide:.1f}"/>')
        for value in (0, most):
            out.append(f'<text class="d end" x="{left - 6}" y="{y(value) + 4:.1f}">{value:,}</text>')
        step = 1 if high - low < 9 else 2 if high - low < 20 else 5
        for slots in sorted({low, *range(low, high - step // 2, step), high}):
            out.append(f'<text class="d mid" x="{x(slots):.1f}" y="{top + CHART + 14}">{slots}</text>')
        out.append(f'<text class="d end" x="{left + wide:.1f}" y="{top + CHART + 22 + 7}">experts that fit</text>')
        out.append(f'<path class="grid" d="M{here[0]:.1f} {top}V{top + CHART}"/>')
        out.append(f'<polyline class="line" points="{points}"/>')
        out.append(f'<circle class="here" cx="{here[0]:.1f}" cy="{here[1]:.1f}" r="4"/>')
        out.append(
            f'<text class="b halo" x="{here[0] + 7:.1f}" y="{max(here[1] - 5, top + 6):.1f}">{self.loads():,}</text>'
        )
        return "".join(out)


# ---- static twin -----------------------------------------------------------------------------------------------------


def rules_table(setting: Setting, written: Written) -> str:
    """The charts as a table, for pages that drop SVG."""
    counts = "".join(f"<td>{written.loads(setting.layer, rule, setting.slots):,}</td>" for rule in RULES)
    heads = "".join(f"<td>{name}</td>" for name in RULES.values())
    return f"<table><tr><td>rule</td>{heads}</tr><tr><td>loaded while writing</td>{counts}</tr></table>"
