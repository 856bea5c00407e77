"""The root of a figure that is written as SVG text."""

from html import escape

from moe_lite.look.palette import css_variables

NAMESPACE = ' xmlns="http://www.w3.org/2000/svg"'


def figure(
    body: str, width: float, height: float, label: str, name: str = "", role: str = "img", inline: bool = False
) -> str:
    """`body` in a box of width × height px, with `label` as its text alternative.

    name: its classes, for a style sheet; role: "group" where parts of it can be reached with the keyboard; inline: it
    only ever stands in HTML, which needs no namespace.
    """
    look = f' class="{name}"' if name else ""
    kept = f' style="{readable(width)}"' if inline else ""  # the others are drawn anew for the room that there is
    return (
        f'<svg{"" if inline else NAMESPACE}{look}{kept} width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="{role}" aria-label="{escape(label)}">{body}</svg>'
    )


def readable(width: float, unit: str = "px") -> str:
    """The CSS that lets a figure shrink to three quarters of its width; below that its letters would be too small."""
    return f"min-width:{width * 3 / 4:.0f}{unit}"


# classes for a root whose dollar signs are dollars: pages that set mathematics (MathJax 2 and 3) leave it alone
NO_MATH = "tex2jax_ignore mathjax_ignore"
# shows what `drawn_only` gives, inside `root`; what is too wide for the page can be moved sideways
DRAWN = (
    "{root} .pic[hidden]:has(svg){{display:block!important;overflow-x:auto}}{root} .pic:has(svg)+.alt{{display:none}}"
)


def drawn_only(svg: str, instead: str = "") -> str:
    """The SVG in a box that stays hidden on pages which drop SVG and keep its letters; there `instead` is read. A page
    with style sheets shows it by DRAWN, which `framed` adds."""
    told = f'<p class="alt">{escape(instead)}</p>' if instead else ""
    return f'<div class="pic" hidden="hidden">{svg}</div>{told}'


def framed(name: str, css: str, *parts: str) -> str:
    """The HTML of a figure: the parts inside `.mx.<name>`, with the palette's colours and its own sheet, which holds
    for nothing else on the page."""
    style = css_variables() + DRAWN.format(root=f".mx.{name}") + (f".mx.{name}{{{css}}}" if css else "")
    return f'<style>{style}</style><div class="mx {name} {NO_MATH}">{"".join(parts)}</div>'
