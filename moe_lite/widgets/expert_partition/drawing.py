"""The expert partition as a picture: who answers where, over the data, as SVG text."""

from collections.abc import Sequence

import torch
from torch import Tensor

from moe_lite.look.palette import expert_class
from moe_lite.look.svg import figure
from moe_lite.widgets.expert_partition.view import CELLS, FEW_CELLS, Fit, View, plane

WIDEST, NARROWEST = 812, 460  # px
LEFT, TOP, TALL, GAP, STRIP = 34, 24, 250, 22, 56  # px; of the curves and of the strip of gates under them
LOW, HIGH = -1.6, 1.6  # of the vertical axis
SIDE, SMALL, BETWEEN = 336, 100, 12  # px; of the plane, of an expert's small plane (whole ones a cell), between two
ABOVE = 38  # px, of the two lines above the plane
SURE = 0.9  # a gate above it is drawn full


def drawing(fit: Fit, view: View, width: int, label: str) -> str:
    """The whole figure, with `label` as its text alternative."""
    body, height = _curves(fit, view, width) if fit.task == "1-D" else _maps(fit, view, width)
    return figure(body, width, height, label, "partition")


def _text(x: float, y: float, text: str, kind: str = "d", anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'


# ---- 1-D -------------------------------------------------------------------------------------------------------------


def _curves(fit: Fit, view: View, width: int) -> tuple[str, int]:
    def px(x: float) -> float:
        return LEFT + (x + 1) / 2 * (width - LEFT - 8)

    def py(y: float) -> float:
        return TOP + (HIGH - y) / (HIGH - LOW) * TALL

    n, x, best = fit.n_experts, view.x[:, 0].tolist(), view.gates.argmax(dim=-1)
    legend = "dots: targets; thick: where the expert has the largest gate; strong line: the blend"
    out = [_text(LEFT, 12, legend if n > 1 else "dots: targets; line: what the network answers")]
    for y in (-1, 0, 1):
        out.append(f'<path class="grid" d="M{LEFT} {py(y):.1f}H{width - 8}"/>' + _text(LEFT - 6, py(y) + 4, f"{y}".replace("-", "−"), "d", "end"))  # fmt: skip # noqa: E501
    out.append(_dots(fit, view, px, py))
    for e in range(n):
        points = [(px(a), py(b), LOW <= b <= HIGH) for a, b in zip(x, view.outputs[:, e].tolist(), strict=True)]
        own = [(a, b, inside and mine) for (a, b, inside), mine in zip(points, (best == e).tolist(), strict=True)]
        out.append(f'<path class="own {expert_class(e, n)}" d="{_pieces(points)}"/>')
        out.append(f'<path class="best {expert_class(e, n)}" d="{_pieces(own)}"/>')
    blend = [(px(a), py(b), LOW <= b <= HIGH) for a, b in zip(x, view.y.tolist(), strict=True)]
    out.append(f'<path class="blend" d="{_pieces(blend)}"/>')
    bottom = TOP + TALL
    if n > 1:  # a gate over one expert is 1 everywhere
        top, bottom = bottom + GAP, bottom + GAP + STRIP
        out.append(_text(LEFT, top - 6, "gates: the share of each expert"))
        out.append(_strip(view.gates, [px(a) for a in x], top))
    for tick in (-1, -0.5, 0, 0.5, 1):
        anchor = "start" if tick == -1 else "end" if tick == 1 else "middle"
        out.append(_text(px(tick), bottom + 16, f"{tick:g}".replace("-", "−"), "d", anchor))
    out.append(_text((px(0) + px(0.5)) / 2, bottom + 16, "input x", "d", "middle"))
    return "".join(out), bottom + 24


def _dots(fit: Fit, view: View, px, py) -> str:
    """The training data, each point in the colour of the expert that is most responsible for it."""
    n, out = fit.n_experts, []
    for e in range(n):
        mine = view.claimed_by == e
        places = zip(fit.problem.x[mine, 0].tolist(), fit.problem.targets[mine].tolist(), strict=True)
        d = "".join(f"M{px(x):.1f} {py(t):.1f}h0" for x, t in places)
        out.append(f'<path class="dots {expert_class(e, n)}" d="{d}"/>' if d else "")
    return "".join(out)


def _pieces(points: Sequence[tuple[float, float, bool]]) -> str:
    """A path through the points, which breaks off where they are not to be drawn."""
    out, drawn = [], False
    for x, y, visible in points:
        if visible:
            out.append(f"{'L' if drawn else 'M'}{x:.1f} {y:.1f}")
        drawn = visible
    return "".join(out)


def _strip(gates: Tensor, xs: list[float], top: float) -> str:
    """The gates (G, E) as shares of a strip, one over the other, each with its number where it is largest."""
    n, out = gates.shape[1], []
    edges = torch.cat([gates.new_zeros(len(gates), 1), gates.cumsum(dim=1)], dim=1)  # (G, E + 1)
    for e in range(n):
        upper = [f"{x:.1f} {top + STRIP * (1 - v):.1f}" for x, v in zip(xs, edges[:, e + 1].tolist(), strict=True)]
        lower = [f"{x:.1f} {top + STRIP * (1 - v):.1f}" for x, v in zip(xs, edges[:, e].tolist(), strict=True)]
        out.append(f'<path class="share {expert_class(e, n)}" d="M{"L".join(upper)}L{"L".join(lower[::-1])}Z"/>')
    for e in range(n):
        if (gates[:, e] > 0.25).any():
            at = _middle_of(gates[:, e] >= 0.8 * gates[:, e].max())
            y = top + STRIP * (1 - (edges[at, e] + edges[at, e + 1]).item() / 2) + 4
            out.append(_text(min(max(xs[at], xs[0] + 8), xs[-1] - 8), y, str(e), "n0", "middle"))
    return "".join(out)


def _middle_of(mask: Tensor) -> int:
    """The middle one of the places where the mask (G,) is true."""
    places = mask.nonzero().flatten()
    return int(places[len(places) // 2])


# ---- 2-D -------------------------------------------------------------------------------------------------------------


def _maps(fit: Fit, view: View, width: int) -> tuple[str, int]:
    best, sure = view.gates.argmax(dim=-1), view.gates.amax(dim=-1) > SURE
    out = [_text(0, 12, "colour: the largest gate, pale where it is below 0.9"),
           _text(0, 26, "● +1, ○ −1; line: where the blend changes its sign"),
           f'<g transform="translate(0,{ABOVE})">']  # fmt: skip
    for e in range(fit.n_experts):
        name = expert_class(e, fit.n_experts)
        for kind, mask in (("sure", sure), ("unsure", ~sure)):
            out.append(f'<path class="{kind} {name}" d="{_runs((best == e) & mask, CELLS, SIDE)}"/>')
    out.append(f'<path class="blend" d="{_border(view.y > 0, CELLS, SIDE)}"/>{_points(fit)}')
    for e in range(fit.n_experts):
        if (best == e).sum() > 0.01 * len(best):
            x, y = _heart(best == e)
            out.append(f'<circle class="{expert_class(e, fit.n_experts)} plate" cx="{x:.1f}" cy="{y:.1f}" r="9"/>' + _text(x, y + 4, str(e), "n0", "middle"))  # fmt: skip # noqa: E501
    out.append(f'<rect class="ax" width="{SIDE}" height="{SIDE}"/></g>')
    beside = width >= SIDE + 24 + 2 * (SMALL + BETWEEN)
    across = (width - SIDE - 24 if beside else width) // (SMALL + BETWEEN)
    left, top = (SIDE + 24, 0) if beside else (0, ABOVE + SIDE + 12)
    out.append(_text(left, top + 12, "each expert alone: coloured where it says +1;"))
    out.append(_text(left, top + 26, "framed where it has the largest gate"))
    out.append(_alone(fit, left, top + 36, across))
    rows = -(-fit.n_experts // across)
    return "".join(out), max(ABOVE + SIDE, top + 36 + rows * (SMALL + BETWEEN + 14)) + 8


@torch.no_grad()
def _alone(fit: Fit, left: float, top: float, across: int) -> str:
    """A small plane for each expert: what it would say everywhere, and where it is asked."""
    there, out = fit.mixture(plane(FEW_CELLS)), []
    best = there.log_gates.argmax(dim=-1)
    for e in range(fit.n_experts):
        x = left + e % across * (SMALL + BETWEEN)
        y = top + e // across * (SMALL + BETWEEN + 14)
        says, asked = there.outputs[:, e] > 0, best == e
        out.append(
            f'<g transform="translate({x:.1f},{y:.1f})" class="{expert_class(e, fit.n_experts)}">'
            + _text(0, 11, f"{e}", "b")
            + f'<g transform="translate(0,15)"><path class="sure" d="{_runs(says, FEW_CELLS, SMALL)}"/>'
            + f'<rect class="ax" width="{SMALL}" height="{SMALL}"/>'
            + f'<path class="frame" d="{_border(asked, FEW_CELLS, SMALL, closed=True)}"/></g></g>'
        )
    return "".join(out)


def _points(fit: Fit) -> str:
    """The training data: dots for +1, rings for −1."""
    places = ((fit.problem.x * torch.tensor([1.0, -1.0]) + 1) / 2 * SIDE).tolist()
    d = {True: "", False: ""}
    for (x, y), target in zip(places, fit.problem.targets.tolist(), strict=True):
        d[target > 0] += f"M{x:.1f} {y:.1f}h0"
    return f'<path class="dot" d="{d[True]}{d[False]}"/><path class="hole" d="{d[False]}"/>'


def _runs(mask: Tensor, cells: int, side: float) -> str:
    """The true cells of a mask (cells²,), drawn as rectangles, a run of neighbours in one."""
    size, out = side / cells, []
    for row, line in enumerate(mask.view(cells, cells).tolist()):
        start = None
        for column, here in enumerate([*line, False]):
            if here and start is None:
                start = column
            elif not here and start is not None:
                wide = (column - start) * size
                out.append(f"M{start * size:.1f} {row * size:.1f}h{wide:.1f}v{size:.2f}h-{wide:.1f}z")
                start = None
    return "".join(out)


def _border(mask: Tensor, cells: int, side: float, closed: bool = False) -> str:
    """The sides at which a true cell meets a false one; closed: the edge of the plane counts as false."""
    size = side / cells
    grid = mask.view(cells, cells)
    padded = torch.nn.functional.pad(grid, (1, 1, 1, 1)) if closed else torch.nn.functional.pad(
        grid[None].float(), (1, 1, 1, 1), mode="replicate")[0].bool()  # fmt: skip
    across = (padded[1:-1, 1:] != padded[1:-1, :-1]).nonzero().tolist()  # a side on the left of a cell
    down = (padded[1:, 1:-1] != padded[:-1, 1:-1]).nonzero().tolist()  # a side on top of a cell
    out = [f"M{c * size:.1f} {r * size:.1f}v{size:.2f}" for r, c in across]
    return "".join(out + [f"M{c * size:.1f} {r * size:.1f}h{size:.2f}" for r, c in down])


def _heart(mask: Tensor) -> tuple[float, float]:
    """A place well inside the true cells (CELLS²,): the one whose neighbourhood has most of them."""
    grid = mask.view(1, 1, CELLS, CELLS).float()
    crowd = torch.nn.functional.avg_pool2d(grid, 15, stride=1, padding=7) * grid
    at = int(crowd.argmax())
    return ((at % CELLS) + 0.5) * SIDE / CELLS, ((at // CELLS) + 0.5) * SIDE / CELLS
