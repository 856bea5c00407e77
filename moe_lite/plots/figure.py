"""What all figures share: inks that follow the page's theme, labels at the ends of lines, and the step to SVG."""

import io
import re
from html import escape

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from moe_lite.look.picture import Picture
from moe_lite.look.svg import drawn_only, framed, readable

# what matplotlib draws in these colours becomes a CSS variable, so that one SVG is right in both themes
_INK = {
    "#010101": "var(--fg)",
    "#020202": "var(--fg2)",
    "#030303": "var(--line)",
    "#040404": "var(--brand)",
    "#050505": "var(--bg)",
}
FG, FG2, LINE, BRAND, BG = _INK
LABEL = 11  # points that a label at the end of a line needs
HALO = {"facecolor": BG, "edgecolor": "none", "pad": 1}  # behind a label: lines may cross it


def label(axes: Axes, text: str, at: tuple[float, float], *, above: bool = False) -> None:
    """`text` at the right of a line's end, or above it, where other lines go on at the right."""
    where = {"ha": "center", "va": "bottom"} if above else {"va": "center"}
    axes.annotate(text, at, (0, 5) if above else (6, 0), textcoords="offset points", color=FG, bbox=HALO,
                  annotation_clip=False, **where)  # fmt: skip


def spread_labels(axes: Axes, height: float = LABEL) -> None:
    """Move the labels at the ends of lines apart, up and down, until none covers another; height in points."""
    texts = sorted((t for t in axes.texts), key=lambda t: axes.transData.transform(t.xy)[1])
    place = [axes.transData.transform(t.xy)[1] * 72 / axes.figure.dpi for t in texts]  # points
    for _ in range(100):
        close = [i for i in range(len(place) - 1) if place[i + 1] - place[i] < height - 0.01]
        for i in close:
            half = (height - place[i + 1] + place[i]) / 2
            place[i], place[i + 1] = place[i] - half, place[i + 1] + half
    for text, y in zip(texts, place, strict=True):
        text.xyann = (text.xyann[0], y - axes.transData.transform(text.xy)[1] * 72 / axes.figure.dpi)


def picture(figure: Figure, alt: str) -> Picture:
    """The figure as inline SVG whose inks follow the page's theme."""
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(FG2)
        axes.tick_params(colors=FG2)
        axes.grid(axis="y", color=LINE, linewidth=0.8)
        axes.xaxis.label.set_color(FG2)
        axes.yaxis.label.set_color(FG2)
        axes.minorticks_off()
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "moe-lite", "font.size": 9}):
        figure.savefig(
            buffer, format="svg", transparent=True, bbox_inches="tight", metadata={"Date": None, "Creator": None}
        )
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    for ink, variable in _INK.items():
        svg = svg.replace(ink, variable)
    svg = _slim(svg)
    svg = re.sub(r"font-family: [^;\"]+", "font-family: var(--jp-ui-font-family,sans-serif)", svg)
    width = float(re.search(r'width="([\d.]+)pt"', svg)[1])
    style = f"max-width:100%;height:auto;{readable(width, 'pt')}"
    svg = svg.replace("<svg ", f'<svg role="img" aria-label="{escape(alt)}" style="{style}" ', 1)
    return Picture(framed("plot", "", drawn_only(svg, alt)), alt)


def _slim(svg: str) -> str:
    """What matplotlib wrote, drawn alike in three quarters of the letters: no comments, no names of groups, no empty
    texts, two decimals; a notebook keeps several such pictures."""
    svg = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<text [^>]*/>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(r"<[^>]+>", lambda tag: re.sub(r"(\.\d\d)\d+", r"\1", " ".join(tag[0].split())), svg)
    return re.sub(r">\s+<", "><", svg)
