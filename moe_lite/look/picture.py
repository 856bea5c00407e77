"""What a figure is to the rest of the package: HTML or SVG, and the sentence that says what it shows."""

from dataclasses import dataclass

from moe_lite.look.terminal import printable


@dataclass(frozen=True)
class Picture:
    """An HTML or SVG figure for a notebook; `alt` says in one sentence what it shows."""

    html: str
    alt: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return printable(self.alt)
