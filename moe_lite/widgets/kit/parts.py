"""The reading line in pieces: text, code and experts, for Python as plain text and HTML, for a script as they are."""

import html
import re
from collections.abc import Sequence

from moe_lite.widgets.kit.text import Face
from moe_lite.widgets.kit.widget import badge_html

Parts = list  # of str, {"code": str} and {"expert": int}


def filled(template: str, **values: object) -> Parts:
    """A template with its {names} replaced by values: strings, parts, or lists of parts."""
    parts: Parts = []
    for i, piece in enumerate(re.split(r"\{(\w+)\}", template)):
        value = values[piece] if i % 2 else piece
        parts.extend(value if isinstance(value, list) else [value])
    return [part for part in parts if part != ""]


def listed_parts(parts: Sequence) -> Parts:
    """[a, b, c] -> a, b and c"""
    joined: Parts = []
    for i, part in enumerate(parts):
        joined += [" and " if i == len(parts) - 1 else ", ", part] if i else [part]
    return joined


def experts_named(experts: Sequence[int]) -> Parts:
    """[5, 1] -> experts 5 and 1"""
    return ["expert " if len(experts) == 1 else "experts ", *listed_parts([{"expert": int(e)} for e in experts])]


def code(face: Face) -> dict:
    """A token inside a sentence."""
    return {"code": face.text.replace("\n", "")}


def plain(parts: Parts) -> str:
    """Parts as text."""
    return "".join(p if isinstance(p, str) else str(next(iter(p.values()))) for p in parts)


def rich(parts: Parts, n_experts: int) -> str:
    """Parts as HTML, escaped, experts as badges."""
    return "".join(
        html.escape(p) if isinstance(p, str)
        else f"<code>{html.escape(p['code'])}</code>" if "code" in p
        else badge_html(p["expert"], n_experts)
        for p in parts
    )  # fmt: skip
