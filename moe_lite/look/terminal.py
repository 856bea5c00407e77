"""Text for a terminal that lacks some signs, as one of Windows with code page 1252 does."""

import sys

PLAIN = str.maketrans(
    {"■": "#", "◧": "~", "▨": "/", "□": ".", "✓": "+", "✗": "x", "–": "-", "—": "-", "−": "-", "·": "*", "…": "...",
     "→": "->", "≈": "~"}
)  # fmt: skip


def printable(text: str) -> str:
    """The text itself where standard output can show it; else with plainer signs, and ? for what has none."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
        return text
    except UnicodeEncodeError:
        return text.translate(PLAIN).encode(encoding, errors="replace").decode(encoding)
