"""The root of a figure that is written as SVG text."""

from html import escape

NAMESPACE = ' xmlns="http://www.w3.org/2000/svg"'


def figure(
    body: str, width: float, height: float, label: str, name: str = "", role: str = "img", inline: bool = False
) -> str:
    """`body` in a box of width × height px, with `label` as its text alternative.

    name: its classes, for a style sheet; role: "group" where parts of it can be reached with the keyboard; inline: it
    only ever stands in HTML, which needs no namespace.
    """
    look = f' class="{name}"' if name else ""
    return (
        f'<svg{"" if inline else NAMESPACE}{look} width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="{role}" aria-label="{escape(label)}">{body}</svg>'
    )
