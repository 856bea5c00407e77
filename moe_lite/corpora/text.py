"""What all domains share: a document, cleaning, and chance that is the same on every machine."""

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar

T = TypeVar("T")

PLAIN = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a", "'"),
        **dict.fromkeys("\u201c\u201d\u201e", '"'),
        **dict.fromkeys("\u2013\u2212\u2022", "-"),
        **dict.fromkeys("\u00a0\u2009\u202f", " "),  # no-break and thin spaces
        **dict.fromkeys("\u200b\ufeff\u00ad", ""),  # zero-width space, byte-order mark, soft hyphen
        "\u2014": "--",
        "\u2026": "...",
        "\t": "    ",
    }
)


class Document(NamedTuple):
    """A text and its stable name; the name decides whether it is held out."""

    key: str
    text: str


def tidy(text: str) -> str:
    """Normal form C, plain quotes, dashes and spaces, no control characters, at most one blank line in a row."""
    text = unicodedata.normalize("NFC", text).translate(PLAIN)
    text = re.sub(r"[\x00-\x09\x0b-\x1f]", "", text)
    text = re.sub(r" +\n", "\n", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n")


def paragraphs(text: str) -> list[str]:
    """The parts of `text` between blank lines, empty ones left out."""
    return [part for part in re.split(r"\n\s*\n", text) if part.strip()]


def unwrap(text: str) -> str:
    """Join the lines of each paragraph into one."""
    return "\n\n".join(" ".join(part.split()) for part in paragraphs(text))


def blocks(prefix: str, text: str, size: int) -> Iterator[Document]:
    """Group consecutive paragraphs into documents of at least `size` characters (the last may be shorter)."""
    groups: list[list[str]] = [[]]
    for part in paragraphs(text):
        if sum(map(len, groups[-1])) >= size:
            groups.append([])
        groups[-1].append(part)
    for number, group in enumerate(groups):
        yield Document(f"{prefix}/{number:03d}", tidy("\n\n".join(group)))


def rank(*parts: str) -> int:
    """A number drawn from the names alone: the same on every machine and in every version of Python."""
    return int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:8], "big")


class Dice:
    """SplitMix64 (Steele, Lea, Flood 2014): a random stream that no library update can change."""

    MASK = (1 << 64) - 1

    def __init__(self, seed: int):
        self.state = seed

    def draw(self) -> int:
        self.state = (self.state + 0x9E3779B97F4A7C15) & self.MASK
        bits = self.state
        bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & self.MASK
        bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & self.MASK
        return bits ^ (bits >> 31)

    def between(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + self.draw() % (high - low + 1)

    def pick(self, choices: Sequence[T]) -> T:
        return choices[self.draw() % len(choices)]
