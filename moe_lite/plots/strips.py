"""The load of every expert over a training, as strips: the stronger the ink, the more assignments."""

from collections import defaultdict
from collections.abc import Mapping
from html import escape

from torch import Tensor

from moe_lite.look.picture import Picture
from moe_lite.look.svg import drawn_only, figure, framed

WIDTH, NAMES, GAP = 812, 30, 28  # px of the figure, for the experts' numbers, between two trainings
FULL, SHADES = 4.0, 12  # times the fair share, from where on a cell is as dark as it gets; greys up to there
HEAD, FOOT = 19, 18  # px over and under the strips

_CSS = """
font:12px/1.4 var(--jp-ui-font-family,system-ui,sans-serif);color:var(--fg);max-width:812px;
.cap{margin:4px 0 8px;color:var(--fg2)}svg{display:block;max-width:100%;height:auto}
text{fill:var(--fg);font-size:12px}text.d{fill:var(--fg2);font-size:11px}
.cell{fill:var(--fg)}.box{fill:none;stroke:var(--line1)}
"""


def strips(
    trainings: Mapping[str, Tensor], steps: int, caption: str, unit: str = "steps", darkest: float | None = None
) -> Picture:
    """One row for each expert, one cell for each part of the training, one block for each of `trainings`.

    trainings: {name: (bins, E)} loads; steps: of the whole training, or of what `unit` counts. A row is white where the
    expert gets nothing and darkest from four times its fair share on; with `darkest`, from that number on instead.
    """
    for name, load in trainings.items():
        if load.dim() != 2 or not load.numel():
            raise ValueError(f"{name} has the shape {tuple(load.shape)}; expected (bins, E), a load for each bin.")
    n_experts = max(load.shape[1] for load in trainings.values())
    row = max(4, min(14, 256 // n_experts))
    wide = (WIDTH - NAMES - 1 - GAP * (len(trainings) - 1)) / len(trainings)  # and 1 for the last frame
    body, left = "", float(NAMES)
    for e in range(0, n_experts, max(1, n_experts // 4)):
        body += f'<text class="d" x="{NAMES - 6}" y="{HEAD + row * e + row / 2 + 4:g}" text-anchor="end">{e}</text>'
    for name, load in trainings.items():
        fair = load.double().mean(dim=1, keepdim=True).clamp(min=1e-9)  # (bins, 1)
        depth = load.double() / (FULL * fair if darkest is None else darkest)  # (bins, E) 1 is darkest
        bottom = HEAD + row * load.shape[1]
        body += f'<text x="{left:.1f}" y="12">{escape(name)}</text>'
        body += _cells(depth, left, wide, row)
        body += f'<rect class="box" x="{left:.1f}" y="{HEAD}" width="{wide:.1f}" height="{bottom - HEAD}"/>'
        body += f'<text class="d" x="{left:.1f}" y="{bottom + 14}">0</text>'
        body += (
            f'<text class="d" x="{left + wide:.1f}" y="{bottom + 14}" text-anchor="end">{steps:,} {escape(unit)}</text>'
        )
        left += wide + GAP
    alt = f"{caption}. One block each: {'; '.join(trainings)}."
    svg = figure(body, WIDTH, HEAD + row * n_experts + FOOT, alt, inline=True)
    head = f'<p class="cap">{escape(caption)}</p>'
    return Picture(framed("st", _CSS, head, drawn_only(svg, alt)), alt)


def _cells(depth: Tensor, left: float, wide: float, row: int) -> str:
    """The cells of one training, one path for each shade; equal neighbours are one box."""
    cell, paths = wide / len(depth), defaultdict(list)
    shades = depth.clamp(max=1).mul(SHADES).round().int()  # (bins, E)
    for e, line in enumerate(shades.T.tolist()):
        ends = [i for i in range(1, len(line)) if line[i] != line[i - 1]] + [len(line)]
        for start, end in zip([0, *ends], ends, strict=False):
            x, long = left + cell * start, cell * (end - start)
            box = f"M{x:.1f} {HEAD + row * e}h{long:.1f}v{row}h-{long:.1f}z"
            paths[line[start]].append(box)
    return "".join(
        f'<path class="cell" fill-opacity="{shade / SHADES:.2f}" d="{"".join(boxes)}"/>'
        for shade, boxes in sorted(paths.items())
        if shade
    )
