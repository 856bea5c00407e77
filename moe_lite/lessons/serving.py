"""What it costs to run a model: memory, time per token by bandwidth and FLOPs, and the price of a million tokens.

Everything here is arithmetic on numbers that are handed in. The time is that of the roofline (Williams, Waterman and
Patterson 2009): a step takes as long as the slower of two things, moving its bytes and computing its FLOPs. That is a
lower bound; nothing is counted for starting kernels, for devices that wait for each other, or for reading a prompt.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

BITS_OF_CACHE, BITS_OF_SCALE = 16, 16


class Machine(NamedTuple):
    """One accelerator, or several that share the work evenly."""

    memory: float  # bytes
    bandwidth: float  # bytes per second, from its memory to its processors
    flops: float  # FLOPs per second

    def times(self, n: int) -> "Machine":
        return Machine(*(n * value for value in self))


@dataclass(frozen=True)
class Footprint:
    """What one model keeps, moves and computes when it generates. "An expert": one number, in all sparse layers."""

    common_bytes: int  # weights that every token uses
    expert_bytes: int  # weights of one routed expert
    cache_bytes: int  # keys and values of one text
    common_flops: int  # per token, without routed experts
    expert_flops: int  # per token and routed expert
    n_experts: int  # E
    top_k: int  # K
    lookup_bytes: int = 0  # an input embedding of its own: kept, but a token reads one row of it

    @property
    def weights_bytes(self) -> int:
        """All weights: which experts the next token needs is not known before it comes."""
        return self.lookup_bytes + self.common_bytes + self.n_experts * self.expert_bytes

    @property
    def flops(self) -> int:
        """Per token."""
        return self.common_flops + self.top_k * self.expert_flops

    def as_dense(self, experts: int) -> "Footprint":
        """A dense model that holds, and uses for every token, as much as this one with `experts` experts."""
        return replace(
            self,
            common_bytes=self.common_bytes + experts * self.expert_bytes,
            common_flops=self.common_flops + experts * self.expert_flops,
            expert_bytes=0, expert_flops=0, n_experts=0, top_k=0,
        )  # fmt: skip


class Sizes(NamedTuple):
    """What a model's configuration says about its memory."""

    total: int  # parameters
    active: int  # those that work on one token
    cached: int  # keys and values that a token leaves behind in all layers, as numbers


def memory_bytes(model: Sizes, bits: int, group: int, context: int, batch: int) -> int:
    """Bytes that a model needs while it generates for `batch` texts of `context` tokens.

    bits: of each weight; at 8 and at 4 there is a scale of 16 bits for each `group` of weights. Keys and values have 16
    bits whatever the weights have.
    """
    stored = model.total * bits
    if bits <= 8:
        stored += math.ceil(model.total / group) * BITS_OF_SCALE
    return math.ceil(stored / 8) + batch * context * model.cached * BITS_OF_CACHE // 8


def experts_touched(n_experts: int, top_k: int, n_tokens: int) -> float:
    """How many of a layer's experts at least one of `n_tokens` tokens chooses, if each chooses evenly at random.

    E · (1 − (1 − K/E)^n): an expert is left alone by one token with probability 1 − K/E, and by n with its n-th power.
    Real choices are alike within a text, so there they are fewer.
    """
    return n_experts * (1 - (1 - top_k / n_experts) ** n_tokens) if n_experts else 0.0


class Step(NamedTuple):
    """One decoding step: every text of the batch gets one more token."""

    bytes_common: float
    bytes_experts: float
    bytes_cache: float
    flops: float
    moving: float  # seconds
    computing: float

    @property
    def bytes(self) -> float:
        return self.bytes_common + self.bytes_experts + self.bytes_cache

    @property
    def seconds(self) -> float:
        return max(self.moving, self.computing)

    @property
    def bound(self) -> str:
        """What it waits for."""
        return "bandwidth" if self.moving >= self.computing else "arithmetic"


def step(model: Footprint, machine: Machine, batch: int) -> Step:
    """What one step moves and computes, and how long either takes.

    Common weights and the experts that are touched are read once per step, however many tokens use them; the cache of
    every text is read for its own token alone.
    """
    experts = experts_touched(model.n_experts, model.top_k, batch) * model.expert_bytes
    cache = batch * model.cache_bytes
    flops = batch * model.flops
    moving = (model.common_bytes + experts + cache) / machine.bandwidth
    return Step(model.common_bytes, experts, cache, flops, moving, flops / machine.flops)


def tokens_per_second(model: Footprint, machine: Machine, batch: int) -> float:
    """Of all texts of the batch together, at most."""
    return batch / step(model, machine, batch).seconds


def largest_batch(model: Footprint, machine: Machine, free: float = 0.1) -> int:
    """How many texts fit beside the weights, with the fraction `free` of the memory kept for everything else."""
    room = machine.memory * (1 - free) - model.weights_bytes
    return max(0, int(room // model.cache_bytes))


def machines_needed(n_bytes: float, machine: Machine, free: float = 0.1) -> int:
    """How many of these hold so many bytes, with the fraction `free` of each one's memory kept for everything else."""
    return max(1, math.ceil(n_bytes / (machine.memory * (1 - free))))


def price_per_million(dollars_per_hour: float, tokens_per_second: float, utilisation: float = 1.0) -> float:
    """Dollars for a million tokens, from a machine that is paid by the hour and works `utilisation` of the time."""
    return dollars_per_hour / (3600 * tokens_per_second * utilisation) * 1e6


def break_even(dollars_per_hour: float, tokens_per_second: float, api_price: float) -> float:
    """The utilisation from which a machine of one's own is cheaper than an API; inf if it never is.

    api_price: dollars per million tokens. tokens_per_second: at full load.
    """
    needed = price_per_million(dollars_per_hour, tokens_per_second) / api_price
    return needed if needed <= 1 else math.inf


class Plan(NamedTuple):
    """So many machines of one's own, and the API for what they cannot take."""

    machines: int
    dollars_per_hour: float
    of_machines: float  # dollars per hour
    share_of_api: float  # of the tokens


def plan(demand: Sequence[float], machines: int, dollars_per_hour: float, capacity: float, api_price: float) -> Plan:
    """What an average hour costs.

    demand: million tokens in each hour. dollars_per_hour: of one machine, busy or idle. capacity: million tokens per
    hour that one machine manages. api_price: dollars per million.
    """
    beyond = sum(max(0.0, tokens - machines * capacity) for tokens in demand)
    own = machines * dollars_per_hour
    return Plan(machines, own + beyond * api_price / len(demand), own, beyond / sum(demand))
