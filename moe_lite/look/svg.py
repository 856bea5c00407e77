"""The root of a figure that is written as SVG text."""

from html import escape


def figure(body: str, width: float, height: float, label: str, name: str = "", role: str = "img") -> str:
    """`body` in a box of width × height px, with `label` as its text alternative.

    name: its classes, for a style sheet; role: "group" where parts of it can be reached with the keyboard.
    """
    look = f' class="{name}"' if name else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg"{look} width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="{role}" aria-label="{escape(label)}">{body}</svg>'
    )
