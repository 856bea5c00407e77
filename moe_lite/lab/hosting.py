"""Published models on published machines: what data/prices.toml says, and the numbers that `lessons.serving` asks for.

python -m moe_lite.lab.hosting              # the table of lesson 11 for Mixtral
python -m moe_lite.lab.hosting DeepSeek-V3 --bits 8 --context 8192
"""

import argparse
import tomllib
from functools import cache
from typing import NamedTuple

from moe_lite.data import data_dir
from moe_lite.families import PublishedModel, count
from moe_lite.lessons.serving import Footprint, Machine, largest_batch, machines_needed, step
from moe_lite.lessons.traffic import Network

GIB = 1 << 30
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)


class Accelerator(NamedTuple):
    """What one accelerator can do by its vendor's figures, and what an hour of it was offered for."""

    name: str
    machine: Machine
    dollars_per_hour: float
    range: tuple[float, float]  # dollars per hour, lowest and highest
    source: str  # of the figures
    price_source: str
    price_date: str


class Offers(NamedTuple):
    """A seller's price list."""

    seller: str
    date: str
    source: str
    classes: dict[str, float]  # dollars per million tokens
    accelerator: str
    accelerator_dollars_per_hour: float


@cache
def _table() -> dict:
    return tomllib.loads((data_dir() / "prices.toml").read_text(encoding="utf-8"))


@cache
def accelerators() -> dict[str, Accelerator]:
    """By name, in the order of data/prices.toml."""
    return {row["name"]: _accelerator(row) for row in _table()["accelerators"]}


def _accelerator(row: dict) -> Accelerator:
    machine = Machine(row["memory_gib"] * GIB, row["bandwidth"] * 1e9, row["tflops"] * 1e12)
    prices = row["dollars_per_hour"], tuple(row["range"])
    return Accelerator(row["name"], machine, *prices, row["source"], row["price_source"], row["price_date"])


def accelerator(name: str) -> Accelerator:
    """ValueError for an unknown name lists the known ones."""
    if name not in accelerators():
        raise ValueError(f"no accelerator {name!r} in data/prices.toml; there are {', '.join(accelerators())}.")
    return accelerators()[name]


def offers() -> Offers:
    row = _table()["offers"]
    classes = {each["name"]: each["dollars_per_million"] for each in row["classes"]}
    beside = row["accelerator"], row["accelerator_dollars_per_hour"]
    return Offers(row["seller"], row["date"], row["source"], classes, *beside)


@cache
def networks() -> dict[str, Network]:
    """By name, in the order of data/prices.toml."""
    return {
        row["name"]: Network(row["per_node"], row["within"] * 1e9, row["between"] * 1e9) for row in _table()["networks"]
    }


def footprint(model: PublishedModel | str, bits: int = 16, context: int = 4096) -> Footprint:
    """What generating with a published model moves and computes, its texts `context` tokens long.

    bits: of the weights, without scales; the cache has 16. An input embedding of its own is kept and not moved: a
    token reads one row of it.

    ValueError for a model that `families.count` does not know, or a context that is no number.
    """
    counted = count(model)
    m = counted.model
    experts = counted.held["experts"].parameters
    stored = counted.weights_bytes(bits)
    one = experts // m.n_experts * bits // 8 if m.n_experts else 0
    expert_flops = 2 * counted.held["experts"].matrices // m.n_experts if m.n_experts else 0
    top_k = min(m.top_k, m.n_experts)
    lookup = 0 if m.tied else counted.held["embedding"].parameters * bits // 8
    return Footprint(
        common_bytes=stored - m.n_experts * one - lookup,
        expert_bytes=one,
        cache_bytes=counted.kv_cache_bytes(context),
        common_flops=counted.flops_per_token(context) - top_k * expert_flops,
        expert_flops=expert_flops,
        n_experts=m.n_experts,
        top_k=top_k,
        lookup_bytes=lookup,
    )


def _rows(model: Footprint, machine: Machine) -> list[str]:
    three = [model, model.as_dense(model.top_k), model.as_dense(model.n_experts)]
    out = []
    for batch in BATCHES:
        first, *others = [step(each, machine, batch) for each in three]
        ratios = "  ".join(f"{first.seconds / other.seconds:6.2f}" for other in others)
        out.append(f"{batch:6,}{batch / first.seconds:12,.0f}   {ratios}   {first.bound}")
    return out


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="Mixtral-8x7B")
    parser.add_argument("--accelerator", default="H100 SXM")
    parser.add_argument("--bits", type=int, default=16)
    parser.add_argument("--context", type=int, default=4096)
    options = parser.parse_args(arguments)
    try:
        model, one = footprint(options.model, options.bits, options.context), accelerator(options.accelerator)
    except ValueError as error:
        parser.error(str(error))
    n = machines_needed(model.weights_bytes + model.cache_bytes, one.machine)
    machine = one.machine.times(n)
    print(f"{options.model} with {options.bits} bits: {model.weights_bytes / 1e9:.1f} GB on {n} × {one.name}, "
          f"room for {largest_batch(model, machine):,} texts of {options.context:,} tokens")  # fmt: skip
    print(" batch  tokens/s at most   time over a dense model's of equal active, whole size   bound by")
    print("\n".join(_rows(model, machine)))


if __name__ == "__main__":
    main()
