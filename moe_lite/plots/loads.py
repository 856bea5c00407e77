"""The load of every expert at one moment, as bars beside the fair share."""

from collections.abc import Mapping
from html import escape

from torch import Tensor

from moe_lite.look.picture import Picture
from moe_lite.look.svg import drawn_only, figure, framed
from moe_lite.plots.tables import number

WIDTH, NAMES, HIGH, GAP, FOOT = 812, 64, 96, 30, 42  # px: of the figure, for names, of one row of bars, between, below
DEAD = 0.01  # of the fair share: an expert with less is dead

_CSS = """
font:12px/1.4 var(--jp-ui-font-family,system-ui,sans-serif);color:var(--fg);max-width:812px;
.cap{margin:4px 0 8px;color:var(--fg2)}svg{display:block;max-width:100%;height:auto}
text{fill:var(--fg);font-size:12px}text.d{fill:var(--fg2);font-size:11px}
text.dead{fill:var(--bad);font-size:11px;font-weight:700;text-anchor:middle}
.bar{fill:var(--fg2)}.fair{stroke:var(--brand);stroke-dasharray:4 3}.base{stroke:var(--line1)}
"""


def loads(layers: Mapping[str, Tensor], caption: str) -> Picture:
    """One row of bars for each of `layers`, {name: (E,) load}, all on one scale of fair shares.

    A dashed line is the fair share; a red 0 stands where an expert gets less than a hundredth of it.
    """
    shares = {}
    for name, load in layers.items():
        if load.dim() != 1 or not load.sum() > 0:
            raise ValueError(f"{name} has the shape {tuple(load.shape)} and sum {load.sum():g}; expected a load (E,).")
        shares[name] = load.double() / load.double().mean()
    most = max(share.max().item() for share in shares.values())
    body, said, top = "", [], 16.0
    for name, share in shares.items():
        step, bottom = (WIDTH - NAMES) / len(share), top + HIGH
        y = [bottom - HIGH * value / most for value in (*share.tolist(), 1.0)]
        body += f'<text x="0" y="{bottom:g}">{escape(name)}</text>'
        for e, value in enumerate(share.tolist()):
            x = NAMES + step * e
            if value < DEAD:
                body += f'<text class="dead" x="{x + step / 2:.1f}" y="{bottom + 11:g}">0</text>'
            high = f'width="{step - 2:.1f}" height="{bottom - y[e]:.1f}"'
            body += f'<rect class="bar" x="{x + 1:.1f}" y="{y[e]:.1f}" {high}/>'
            if share[e] == share.max():
                anchor = "end" if x > WIDTH - 120 else "start"
                body += f'<text class="d" x="{x + (step if anchor == "end" else 0):.1f}" y="{y[e] - 4:.1f}" '
                body += f'text-anchor="{anchor}">expert {e}: {number(value)}</text>'
        body += f'<line class="base" x1="{NAMES}" y1="{bottom:g}" x2="{WIDTH}" y2="{bottom:g}"/>'
        body += f'<line class="fair" x1="{NAMES}" y1="{y[-1]:.1f}" x2="{WIDTH}" y2="{y[-1]:.1f}"/>'
        n_dead = int((share < DEAD).sum())
        said.append(f"{name}: at most {number(share.max().item())} fair shares, {n_dead} of {len(share)} dead")
        top = bottom + GAP
    body += (
        f'<text class="d" x="{NAMES}" y="{top:g}">dashed: the fair share · red 0: less than a hundredth of it</text>'
    )
    alt = f"{caption}. {'; '.join(said)}."
    svg = figure(body, WIDTH, round(top - GAP + FOOT), alt, inline=True)
    return Picture(framed("ld", _CSS, f'<p class="cap">{escape(caption)}</p>', drawn_only(svg, alt)), alt)
