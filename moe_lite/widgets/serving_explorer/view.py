"""What the serving explorer shows, as data: a mixture and two dense models on the same accelerators, by batch, as
`lessons.serving` computes it."""

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from moe_lite.families import Count, PublishedModel, count, published
from moe_lite.lab.hosting import BATCHES, Accelerator, footprint
from moe_lite.lessons.serving import (
    Footprint,
    Machine,
    Step,
    experts_touched,
    largest_batch,
    machines_needed,
    price_per_million,
    step,
    tokens_per_second,
)
from moe_lite.model.config import ModelConfig, is_positive, is_positive_int

MIXTURE, ACTIVE, WHOLE = KEYS = ("mixture", "active", "whole")
PASSED = "your model"  # a ModelConfig
MOST = BATCHES[-1]  # texts at a time
BITS = (16, 8, 4)  # of a weight
STEPS = {
    "context": (256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768),
    "utilisation": tuple(range(10, 101, 10)),
    "dollars": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0, 10.0),
}
LIMITS = {"batch": (1, MOST), "context": (1, 1 << 20), "utilisation": (1, 100)}
NAMED = {"batch": "the batch, in texts at a time,", "context": "context, in tokens,",
         "utilisation": "the time that the accelerators are busy, in %,"}  # fmt: skip
PER_OCTAVE = 8  # points of a line
MOST_DOLLARS = 1000  # per hour

counted = lru_cache(maxsize=128)(count)  # of a record
kept = lru_cache(maxsize=128)(footprint)


@dataclass(frozen=True)
class ServingView:
    """A mixture and the settings under which it generates. ValueError for settings that cannot be."""

    model: PublishedModel
    accelerator: Accelerator
    batch: int = 16
    context: int = 4096  # tokens of each text
    bits: int = 16  # of a weight
    utilisation: int = 50  # percent of the time
    dollars: float = 1.0  # per hour and accelerator

    def __post_init__(self) -> None:
        for name, (low, high) in LIMITS.items():
            value = getattr(self, name)
            if not is_positive_int(value) or not low <= value <= high:
                raise ValueError(f"{NAMED[name]} is {value!r}, expected a whole number from {low:,} to {high:,}.")
        if self.bits not in BITS or not is_positive_int(self.bits):
            raise ValueError(f"bits is {self.bits!r}, expected 16, 8 or 4 for each weight.")
        if not is_positive(self.dollars) or self.dollars > MOST_DOLLARS:
            raise ValueError(
                f"dollars is {self.dollars!r}, expected a number above 0, at most {MOST_DOLLARS:,} per hour."
            )

    @property
    def count(self) -> Count:
        return counted(self.model)

    @cached_property
    def footprints(self) -> dict[str, Footprint]:
        """Of the mixture, and of dense models that hold what it uses for a token, and all that it holds."""
        mixture = kept(self.model, self.bits, self.context)
        return dict(
            zip(KEYS, (mixture, mixture.as_dense(mixture.top_k), mixture.as_dense(mixture.n_experts)), strict=True)
        )

    def parameters(self, key: str) -> int:
        """That one of the three holds."""
        return self.count.active.all if key == ACTIVE else self.count.total.all

    # ---- memory

    @cached_property
    def n_machines(self) -> int:
        """As many accelerators as hold the mixture's weights and one text; all three models get these."""
        mixture, one = self.footprints[MIXTURE], self.accelerator.machine
        n = machines_needed(mixture.weights_bytes + mixture.cache_bytes, one)
        return n if largest_batch(mixture, one.times(n)) else n + 1  # where the last digit was rounded away

    @cached_property
    def machine(self) -> Machine:
        return self.accelerator.machine.times(self.n_machines)

    @cached_property
    def room(self) -> dict[str, int]:
        """Texts that fit beside the weights of each."""
        return {key: largest_batch(model, self.machine) for key, model in self.footprints.items()}

    def fits(self, key: str) -> bool:
        return self.batch <= self.room[key]

    # ---- time and money

    def step(self, key: str, batch: int | None = None) -> Step:
        """At the chosen batch, or another."""
        return step(self.footprints[key], self.machine, batch or self.batch)

    def speed(self, key: str, batch: int | None = None) -> float:
        """Tokens per second of all texts together."""
        return tokens_per_second(self.footprints[key], self.machine, batch or self.batch)

    def ratio(self, batch: int | None = None, key: str = MIXTURE, over: str = ACTIVE) -> float:
        """The time per token of one over that of another."""
        return self.step(key, batch).seconds / self.step(over, batch).seconds

    def price(self, key: str, batch: int | None = None) -> float:
        """Dollars per million tokens."""
        return price_per_million(self.n_machines * self.dollars, self.speed(key, batch), self.utilisation / 100)

    @property
    def touched(self) -> float:
        """Experts per layer that the batch uses."""
        mixture = self.footprints[MIXTURE]
        return experts_touched(mixture.n_experts, mixture.top_k, self.batch)

    # ---- lines

    @cached_property
    def batches(self) -> list[int]:
        """Where lines have points: evenly on a logarithmic scale, and where memory ends."""
        octaves = len(BATCHES) - 1
        grid = {round(2 ** (i / PER_OCTAVE)) for i in range(octaves * PER_OCTAVE + 1)}
        return sorted(grid | {most for most in self.room.values() if 1 <= most <= MOST})

    def within(self, key: str) -> list[int]:
        """The batches that fit."""
        return [batch for batch in self.batches if batch <= self.room[key]]

    def beyond(self, key: str) -> list[int]:
        """Those that do not, from the last that does."""
        return [batch for batch in self.batches if batch >= min(self.room[key], MOST)]


# ---- models ----------------------------------------------------------------------------------------------------------


def mixtures() -> list[str]:
    """Published models with experts and without an encoder."""
    return [name for name in published() if published(name).n_experts and not published(name).n_encoder_layers]


def record_of(model: PublishedModel | ModelConfig | str) -> PublishedModel:
    """The record that is shown. ValueError for unknown names and for what has no experts or an encoder."""
    record = count(model).model
    if isinstance(model, ModelConfig):
        record = replace(record, name=PASSED)
    elif record.name in published() and published(record.name) != record:
        record = replace(record, name=f"{record.name} (own)")
    if not record.n_experts:
        raise ValueError(
            f"{record.name} is dense: it has no experts, so there is no mixture to compare. There are "
            f"{', '.join(mixtures()[:4])} and others."
        )
    kept(record)  # of what has an encoder nobody knows the cache
    return record
