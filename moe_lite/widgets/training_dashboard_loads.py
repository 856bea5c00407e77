"""The load of every expert at one step of a training, layer by layer, as SVG text."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from moe_lite.metrics import DEAD_BELOW
from moe_lite.palette import expert_class
from moe_lite.train import StepLog
from moe_lite.widgets.training_dashboard_data import at_step, fair_multiples, history, load_at

CELL, ROW, HEAD = 30, 27, 58  # px of a cell, of a row, and of the names of the layers
FIRST = 40  # px over the first row
SPARK = 64  # px of the curve of one expert
MANY = 8  # experts, from where cells share the width of the page
LONGEST = 46  # characters that name the dead


@dataclass(frozen=True)
class LoadTable:
    """Multiples of the fair share over the last steps up to `step`; a dead expert is a frame with a 0.

    `picked`, a (layer, expert), is drawn over all steps underneath. width: px of the whole figure.
    """

    logs: Sequence[StepLog]
    step: int
    width: int
    picked: tuple[int, int] | None = None

    @property
    def height(self) -> int:
        return FIRST + len(self.logs[0].load) * ROW + 20 + (SPARK if self.picked else 0)

    @property
    def n_experts(self) -> int:
        return self.logs[0].load.shape[1]

    @property
    def cell(self) -> float:
        return CELL if self.n_experts <= MANY else (self.width - HEAD) / self.n_experts

    def svg(self) -> str:
        """The elements of the table; (0, 0) is its corner."""
        index = at_step(self.logs, self.step)
        shares = fair_multiples(load_at(self.logs, index))  # (L, E)
        title = f'<text class="d" x="0" y="12">load at step {self.logs[index].step:,}, × fair share</text>'
        rows = "".join(self._row(layer, row) for layer, row in enumerate(shares.tolist()))
        return title + self._badges() + rows + self._dead(shares) + (self._spark() if self.picked else "")

    def _badges(self) -> str:
        if self.cell < 15:
            return ""
        wide, out = min(self.cell - 2, 20), []
        for e in range(self.n_experts):
            x, look = HEAD + e * self.cell + 1, expert_class(e, self.n_experts)
            out.append(f'<rect class="tint {look}" x="{x:.1f}" y="18" width="{wide:.1f}" height="16" rx="3"/>')
            out.append(f'<text class="n0" x="{x + wide / 2:.1f}" y="30">{e}</text>')
        return "".join(out)

    def _row(self, layer: int, shares: list[float]) -> str:
        y = FIRST + layer * ROW
        name = f'<text class="d" x="0" y="{y + 16}">layer {layer + 1}</text>'
        return name + "".join(self._cell(layer, e, y, share) for e, share in enumerate(shares))

    def _cell(self, layer: int, e: int, y: int, share: float) -> str:
        x, dead = HEAD + e * self.cell, share < DEAD_BELOW
        number = "0" if dead else f"{share:.1f}"
        look = "dead" if dead else f"tint {expert_class(e, self.n_experts)}"
        strength = "" if dead else f' fill-opacity="{min(1.0, 0.12 + 0.5 * share):.2f}"'
        box = f'<rect class="{look}" x="{x + 1:.1f}" y="{y}" width="{self.cell - 2:.1f}" height="{ROW - 3}"{strength}/>'
        text = f'<text class="{"bad" if dead else "num"}" x="{x + self.cell / 2:.1f}" y="{y + 16}">{number}</text>'
        says = f"layer {layer + 1}, expert {e}: {number} times its fair share"
        on = " on" if self.picked == (layer, e) else ""
        return (
            f'<g class="cell{on}" data-cell="{layer},{e}" role="button" tabindex="-1" aria-label="{says}">'
            f"<title>{says}</title>{box}{text if self.cell >= 24 else ''}</g>"
        )

    def _dead(self, shares: Tensor) -> str:
        by_layer = [(shares[layer] < DEAD_BELOW).nonzero()[:, 0].tolist() for layer in range(len(shares))]
        named = [f"layer {i + 1}: {', '.join(map(str, dead))}" for i, dead in enumerate(by_layer) if dead]
        if not named:
            return ""
        text = f"{sum(map(len, by_layer))} dead · {' · '.join(named)}"
        text = text if len(text) <= LONGEST else text[:LONGEST] + "…"
        return f'<text class="bad" x="0" y="{FIRST + len(shares) * ROW + 12}">{text}</text>'

    def _spark(self) -> str:
        """One expert's share at every step."""
        layer, expert = self.picked
        top, right = self.height - SPARK, HEAD + self.n_experts * self.cell
        points = history(self.logs, layer, expert)
        highest, steps = max(2.0, max(share for _, share in points)), max(1, points[-1][0])
        places = [(HEAD + (right - HEAD) * step / steps, top + 34 - 30 * share / highest) for step, share in points]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        return (
            f'<text class="d" x="0" y="{top + 12}">layer {layer + 1}</text>'
            f'<text class="d" x="0" y="{top + 26}">expert {expert}</text>'
            f'<path class="grid" d="M{HEAD} {top + 34 - 30 / highest:.1f}H{right:.1f}"/>'
            f'<polyline class="spark {expert_class(expert, self.n_experts)}" points="{line}"/>'
            f'<text class="d" x="{right:.1f}" y="{top + 48}" text-anchor="end">'
            f"over all steps; the line is the fair share, the top {highest:.1f} ×</text>"
        )
