"""The bias controller as a picture: loads above, biases below, over the steps."""

from collections.abc import Sequence

import torch
from torch import Tensor

from moe_lite.look.palette import expert_class
from moe_lite.look.svg import figure
from moe_lite.widgets.bias_controller.view import STEPS, Controlled

WIDEST, NARROWEST = 812, 460  # px
LEFT, RIGHT, TOP, TALL, GAP = 44, 30, 20, 150, 40  # px; TALL: of each of the two panels
MOST_LOAD = 4.0  # times the fair share; what is above is drawn at the edge
LEAST_BIAS = 0.01  # half of the lower panel's height, at least


def drawing(now: Controlled, width: int, label: str) -> str:
    """Both panels, with `label` as text alternative."""
    fair = now.load.float().mean(dim=1, keepdim=True)  # (STEPS, 1)
    loads = _smooth(now.load / fair).clamp(max=MOST_LOAD)
    reach = max(LEAST_BIAS, now.bias.abs().max().item())
    height = TOP + 2 * TALL + GAP + 26
    body = _panel(loads, TOP, 0.0, MOST_LOAD, (0, 1, 2, 4), width, "load, in fair shares (mean of 5 steps)")
    below = TOP + TALL + GAP
    body += _panel(now.bias, below, -reach, reach, (-reach, 0.0, reach), width, "selection bias")
    body += _frozen(now, width, height)
    ticks = "".join(
        f'<text class="d" x="{_x(step, width):.1f}" y="{height - 8}" text-anchor="middle">{step}</text>'
        for step in (0, 50, 100, 150, STEPS)
    )
    name = f'<text class="d" x="{_x(25, width):.1f}" y="{height - 8}" text-anchor="middle">step</text>'
    return figure(f"{body}{ticks}{name}", width, height, label, "bias")


def _x(step: float, width: int) -> float:
    return LEFT + step / STEPS * (width - LEFT - RIGHT)


def _smooth(loads: Tensor) -> Tensor:
    """The mean of a step and the four before it, (STEPS, E)."""
    padded = torch.cat([loads[:1].expand(4, -1), loads])
    return padded.unfold(0, 5, 1).mean(dim=-1)


def _panel(values: Tensor, top: float, low: float, high: float, ticks: Sequence[float], width: int, title: str) -> str:
    """Curves (STEPS, E) between `low` and `high`, an expert's numeral at the end of each."""
    n = values.shape[1]

    def y(value: float) -> float:
        return top + (high - value) / (high - low) * TALL

    out = [f'<text x="{LEFT}" y="{top - 7}">{title}</text>']
    for tick in ticks:
        text = f"{tick:.2g}".replace("-", "−")
        out.append(f'<path class="grid" d="M{LEFT} {y(tick):.1f}H{width - RIGHT}"/>')
        out.append(f'<text class="d" x="{LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{text}</text>')
    for e in range(n):
        points = " ".join(f"{_x(step, width):.1f},{y(v):.1f}" for step, v in enumerate(values[:, e].tolist()))
        out.append(f'<polyline class="curve {expert_class(e, n)}" points="{points}"/>')
    ends = sorted((y(v), e) for e, v in enumerate(values[-1].tolist()))
    return "".join(out) + _numerals(ends, width, top, n)


def _numerals(ends: list[tuple[float, int]], width: int, top: float, n: int) -> str:
    """The experts' numerals at the ends of their curves, moved apart until none covers another."""
    room = min(13.0, TALL / n)
    places = [place for place, _ in ends]
    for i in range(1, n):
        places[i] = max(places[i], places[i - 1] + room)
    over = max(0.0, places[-1] - (top + TALL))
    places = [place - over * (i + 1) / n for i, place in enumerate(places)]
    for i in range(n - 2, -1, -1):
        places[i] = min(places[i], places[i + 1] - room)
    out, x = [], width - RIGHT + 6
    for place, (_, e) in zip(places, ends, strict=True):
        out.append(
            f'<g class="{expert_class(e, n)}"><rect class="plate" x="{x}" y="{place - 6:.1f}" width="20" height="12" '
            f'rx="3"/><text class="n0" x="{x + 10}" y="{place + 4:.1f}">{e}</text></g>'
        )
    return "".join(out)


def _frozen(now: Controlled, width: int, height: int) -> str:
    if now.settings.frozen_from >= STEPS:
        return ""
    x = _x(now.settings.frozen_from, width)
    return (
        f'<path class="freeze" d="M{x:.1f} {TOP}V{height - 26}"/>'
        f'<text class="d" x="{x + 4:.1f}" y="{TOP + TALL + 14}">from here the bias stands still</text>'
    )
