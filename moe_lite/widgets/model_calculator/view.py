"""What the model calculator shows: one model as the sliders have it, models beside it, and the cards that hold it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import NamedTuple

from moe_lite.families import Count, PublishedModel, count, from_hf_config, published
from moe_lite.families.published_models import CONVENTIONS
from moe_lite.model.config import ModelConfig

COMPARED = ("OLMoE-1B-7B", "Qwen3-30B-A3B", "Mixtral-8x7B", "gpt-oss-120b", "DBRX")
SIZES = ("n_experts", "top_k", "d_expert")
YOURS, PASSED = "yours", "your model"  # a changed preset; a ModelConfig
STEPS = {
    "n_experts": (1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
    "top_k": (1, 2, 3, 4, 6, 8, 10, 12, 16, 24, 32, 64),
    "d_expert": (64, 128, 256, 512, 768, 1024, 1408, 1536, 2048, 2880, 3584, 4096, 6144, 8192, 10_752, 14_336, 18_432,
                 24_576, 32_768),
    "free": (0, 5, 10, 15, 20, 25, 30, 40, 50),
    "context": (1024, 2048, 4096, 8192, 16_384, 32_768, 65_536, 131_072),
}  # fmt: skip
LIMITS = {
    "n_experts": (1, 4096), "top_k": (1, 4096), "d_expert": (1, 1 << 20), "free": (0, 90), "context": (1, 1 << 22),
}  # fmt: skip
NAMED = {"n_experts": "experts E", "top_k": "top-k", "d_expert": "expert width F", "free": "the part kept free, in %"}
CARDS = (8, 12, 16, 24, 48, 80)  # GiB
GIB = 1 << 30
BITS = {32: "fp32", 16: "fp16, bf16", 8: "int8", 4: "int4"}
MOST_PARAMETERS = 10**15  # above that a size is a slip

counted = lru_cache(maxsize=512)(count)  # of a record: a redraw asks for the same ones again


class Row(NamedTuple):
    """One model's bar."""

    key: str  # finds its bar again when it has moved
    name: str
    total: int
    active: int


class Held(NamedTuple):
    """What takes room on the cards: the model, or the dense one."""

    key: str
    name: str
    parameters: int
    bytes: dict[int, int]  # by bits


@dataclass(frozen=True)
class CalculatorView:
    """A model and the settings under which it is shown. ValueError for settings that cannot be."""

    base: PublishedModel  # a preset, or a model of the learner's
    model: PublishedModel  # the same with the experts that the sliders ask for
    compare: tuple[PublishedModel, ...]
    convention: str = "all"
    free: int = 10  # percent of each card's memory
    context: int = 8192

    def __post_init__(self) -> None:
        if self.convention not in CONVENTIONS:
            raise ValueError(f"convention is {self.convention!r}, expected one of {', '.join(CONVENTIONS)}.")
        for name in ("free", "context"):
            check(name, getattr(self, name))
        if self.count.total.all > MOST_PARAMETERS:
            most = f"{MOST_PARAMETERS:,} parameters"
            raise ValueError(f"{self.base.name} would have more than {most}: one of its sizes must be wrong.")

    @property
    def count(self) -> Count:
        return counted(self.model)

    @property
    def changed(self) -> bool:
        return self.model != self.base

    @property
    def sparse(self) -> bool:
        return is_sparse(self.model)

    @property
    def total(self) -> int:
        return getattr(self.count.total, self.convention)

    @property
    def active(self) -> int:
        return getattr(self.count.active, self.convention)

    # ---- bars

    @cached_property
    def rows(self) -> list[Row]:
        """The models for comparison, then the one that is chosen if it is none of them, then it with its changes."""
        models = [(f"r{i}", model.name, model) for i, model in enumerate(self.compare)]
        if self.base not in self.compare:
            models.append(("base", self.base.name, self.base))
        if self.changed:
            models.append(("mine", YOURS, self.model))
        return [self._row(*each) for each in models]

    def _row(self, key: str, name: str, model: PublishedModel) -> Row:
        found = counted(model)
        return Row(key, name, getattr(found.total, self.convention), getattr(found.active, self.convention))

    @property
    def current(self) -> Row:
        """The row of the model that is taken apart."""
        place = self.compare.index(self.base) if self.base in self.compare and not self.changed else -1
        return self.rows[place]

    @property
    def scale(self) -> int:
        """Parameters of the longest bar. It moves with no slider and no convention."""
        return max(counted(model).total.all for model in self.compare or (self.base,))

    # ---- taken apart

    @property
    def expert(self) -> int:
        """Parameters of one expert, in all layers together; 0 in a dense model."""
        return self.count.held["experts"].parameters // max(1, self.model.n_experts)

    @property
    def works(self) -> int:
        """Experts that work on a token, at most."""
        return min(self.model.top_k, self.model.n_experts)

    @property
    def common(self) -> dict[str, int]:
        """What every token uses, by part, as the convention counts it."""
        held = {part: size.parameters for part, size in self.count.held.items()}
        vocabulary = "embeddings and head" if self.convention == "all" else "head"
        parts = {
            "attention": held["attention"], "shared experts": held["shared"], "dense networks": held["dense"],
            "router and norms" if self.sparse else "norms": held["router"] + held["norms"],
            "embedding matrix" if self.model.tied else vocabulary: self.total - self.count.total.body,
        }  # fmt: skip
        return {part: n for part, n in parts.items() if n}

    # ---- memory

    @property
    def held(self) -> list[Held]:
        """The weights of the model, and of a dense one with as many parameters as work on a token, if that differs."""
        stored, works = self.count.total.all, self.count.active.all
        name = YOURS if self.changed else self.base.name
        all_of_it = Held("model", name, stored, {bits: self.count.weights_bytes(bits) for bits in BITS})
        dense = Held("dense", "dense", works, {bits: -(-works * bits // 8) for bits in BITS})
        return [all_of_it, dense] if works < stored else [all_of_it]

    def usable(self, card: int) -> int:
        """Bytes of a card that are left for weights."""
        return card * GIB * (100 - self.free) // 100

    def cards(self, n_bytes: int, card: int) -> int:
        """How many cards hold so many bytes, split evenly."""
        return -(-n_bytes // self.usable(card))

    def smallest(self, n_bytes: int) -> tuple[int, int]:
        """(1, the smallest card that holds so many bytes), or (how many of the largest card do, that card)."""
        return next(((1, card) for card in CARDS if n_bytes <= self.usable(card)),
                    (self.cards(n_bytes, CARDS[-1]), CARDS[-1]))  # fmt: skip


# ---- models ----------------------------------------------------------------------------------------------------------


def is_sparse(model: PublishedModel) -> bool:
    return bool(model.sparse_layers or model.sparse_encoder_layers)


def sizes_of(model: PublishedModel) -> dict[str, int]:
    return {name: getattr(model, name) for name in SIZES}


def record_of(model: PublishedModel | ModelConfig | str) -> PublishedModel:
    """The record that is counted. ValueError for what cannot be, and for unknown names."""
    record = count(model).model
    if isinstance(model, ModelConfig):
        return replace(record, name=PASSED)
    return _own_name(record)


def _own_name(record: PublishedModel) -> PublishedModel:
    """Another model under a published name is told apart from the published one."""
    taken = record.name in published() and published(record.name) != record
    return replace(record, name=f"{record.name} (own)") if taken else record


def check(name: str, value: int) -> None:
    """ValueError unless a setting is within its limits."""
    low, high = LIMITS[name]
    if not low <= value <= high:
        raise ValueError(f"{NAMED.get(name, name)} is {value:,}, expected {low:,} to {high:,}.")


def resized(base: PublishedModel, sizes: Mapping[str, int]) -> PublishedModel:
    """`base` with other experts. ValueError for sizes that cannot be; more choices than there are experts are cut."""
    if sizes == sizes_of(base):
        return base
    if not is_sparse(base):
        raise ValueError(f"{base.name} is dense: it has no experts to change.")
    for name, value in sizes.items():
        check(name, value)
    return replace(base, **{**sizes, "top_k": min(sizes["top_k"], choosable(base, sizes["n_experts"]))})


def choosable(base: PublishedModel, n_experts: int) -> int:
    """What a token can choose from: experts, and zero experts."""
    return n_experts + base.zero_experts


def pasted(text: str) -> PublishedModel:
    """The model of a config.json. ValueError for text that is none, and for what `from_hf_config` refuses."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise ValueError(f"This is not JSON: {problem}. Paste the whole file, from {{ to }}.") from problem
    if not isinstance(values, dict):
        raise ValueError(f"A config.json has fields between {{ and }}; this is a {type(values).__name__}.")
    record = from_hf_config(values)
    name = record.name.rstrip("/").split("/")[-1]  # of a path or of owner/model
    name = "".join(filter(str.isprintable, name))  # SVG cannot hold all characters
    return _own_name(replace(record, name=name or str(values["model_type"])))
